using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Confluent.Kafka;
using Sync.Contracts;
using Sync.Sandbox.Admin;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stack;
using Sync.Sandbox.Stripe;

namespace Sync.Sandbox.Demo;

/// <summary>The flows of the demo, in the order in which they are shown.</summary>
static class Flows
{
    const string Ada = "demo-ada";

    /// <summary>Customers of the flow that creates many at once.</summary>
    const int Many = 1_000;

    /// <summary>What the cells of the matrix took, for its table.</summary>
    static readonly Latencies Seen = new();

    public static readonly IReadOnlyList<Flow> All =
    [
        new("first customer, processes still cold", First),
        new("create", Create),
        new("update one field", Update),
        new("burst of 100 updates", Burst),
        new("clear a field", Clear),
        new("unicode and maximum lengths", Lengths),
        new("delete", Delete),
        new("an unreadable event", Unreadable),
        new("Stripe down, Salesforce goes on", Outage),
        new("time-out after the effect", TimeOut),
        new("adapter killed in mid-work", Crash),
        .. Matrix.Cells.Select(Everywhere),
        .. Place.All.SelectMany(Without),
        new($"{Many:N0} customers at once", Thousand),
    ];

    public static Latencies Latencies => Seen;

    /// <summary>The longest values that every system can hold, of letters that take more than one byte or more than one char.</summary>
    public static JsonObject Longest() =>
        new()
        {
            // Two UTF-16 characters each: 126 of them and three more are 255, what Salesforce's Name holds.
            ["name"] = string.Concat(Enumerable.Repeat("\U0001F9E1", 126)) + "Zo\u00EB",
            ["email"] = new string('e', 64) + "@abc.example.org",
            ["phone"] = "+4420794600180000000",
            ["address"] = new JsonObject
            {
                ["line1"] =
                    string.Concat(Enumerable.Repeat("\u0391\u03B8\u03AE\u03BD\u03B1 ", 42)) + "\u03A9\u03A9\u03A9",
                ["line2"] = new string('\u5C71', 500),
                ["city"] = string.Concat(Enumerable.Repeat("\u6771\u4EAC", 20)),
                ["state"] = new string('\u00FC', 80),
                ["postalCode"] = new string('9', 20),
                ["country"] = new string('\u0628', 80),
            },
            ["attributes"] = new JsonObject { ["tier"] = new string('\u00DF', 255) },
        };

    /// <summary>Code is compiled when it first runs: what fresh processes need for their first customer says nothing of the rest.</summary>
    static async Task<string> First(FlowRun run)
    {
        const string first = "demo-first";
        await run.Create(first, """{ "name": "Katherine Johnson", "email": "katherine@example.org" }""");
        return $"{Ms(await run.InStep(first))}: once for each process that starts";
    }

    static async Task<string> Create(FlowRun run)
    {
        run.CountCalls();
        await run.Create(
            Ada,
            """
            { "name": "Ada Lovelace", "email": "ada@example.org", "phone": "+442079460018",
              "address": { "line1": "12 St James's Square", "city": "London", "postalCode": "SW1Y 4JH", "country": "GB" },
              "attributes": { "tier": "gold" } }
            """
        );
        var took = await run.InStep(Ada);
        var stripe = (string?)run.Eyes.Stripe()[Ada].Single()["id"];
        var salesforce = (string?)run.Eyes.Salesforce()[Ada].Single()["Id"];
        return $"{Ms(took)}: {stripe} in Stripe, {salesforce} in Salesforce; {run.Calls}";
    }

    static async Task<string> Update(FlowRun run)
    {
        run.CountCalls();
        await run.Change(Ada, """{ "phone": "+442079460099" }""");
        var took = await run.InStep(Ada);
        return $"{Ms(took)}: the phone is the new one everywhere; {run.Calls}";
    }

    static async Task<string> Burst(FlowRun run)
    {
        run.CountCalls();
        for (var i = 1; i <= 100; i++)
            await run.Change(Ada, new JsonObject { ["name"] = $"Ada Lovelace {i}" });
        var took = await run.InStep(Ada);
        var calls = run.StripeCalls.Total + run.SalesforceCalls.Total;
        run.Expect(calls <= 20, "a handful of calls to each vendor, not 200", run.Calls);
        return $"{Ms(took)} after the last: {run.Calls}, where 100 for each would have been";
    }

    static async Task<string> Clear(FlowRun run)
    {
        run.CountCalls();
        await run.Change(Ada, """{ "phone": null }""");
        var took = await run.InStep(Ada);
        var stripe = run.Eyes.Stripe()[Ada].Single()["phone"];
        var salesforce = run.Eyes.Salesforce()[Ada].Single()["Phone"];
        run.Expect(
            stripe is null && salesforce is null,
            "no phone in Stripe and Salesforce",
            $"Stripe {(stripe is null ? "has none" : "has one")}, Salesforce {(salesforce is null ? "has none" : "has one")}"
        );
        return $"{Ms(took)}: empty everywhere; {run.Calls}";
    }

    static async Task<string> Lengths(FlowRun run)
    {
        run.CountCalls();
        var longest = Longest();
        await run.Create("demo-longest", longest.ToJsonString());
        var took = await run.InStep("demo-longest");
        return $"{Ms(took)}: nothing cut, nothing garbled, e.g. {longest["name"]!.GetValue<string>().Length} characters of name; {run.Calls}";
    }

    static async Task<string> Delete(FlowRun run)
    {
        run.CountCalls();
        await run.Delete(Ada);
        var took = await run.Gone(Ada);
        var bin = run.Eyes.InRecycleBin(Ada);
        run.Expect(bin == 1, "its account in Salesforce's recycle bin", $"{bin} accounts there");
        return $"{Ms(took)}: deleted in Stripe, in Salesforce's recycle bin, a tombstone in the saga; {run.Calls}";
    }

    static async Task<string> Unreadable(FlowRun run)
    {
        const string broken = "demo-broken";
        const string body = """{ "customerId": "demo-broken", "revision": 1, "customer": { "name": "Grace """;
        await run.Sandbox.Produce(
            new KafkaRecord(
                Topics.Customers,
                null,
                new Message<byte[]?, byte[]?>
                {
                    Key = Encoding.UTF8.GetBytes(broken),
                    Value = Encoding.UTF8.GetBytes(body),
                    Headers = CloudEvent("product.customer.created.v1"),
                }
            ),
            run.Cancelled
        );
        await run.Create("demo-grace", """{ "name": "Grace Hopper", "email": "grace@example.org" }""");
        var took = await run.InStep("demo-grace");

        (string Code, string Reason, byte[]? Value)? letter = null;
        await run.Until(
            "the unreadable event lies in sync.dead_letter",
            async () =>
                (letter = await run.Eyes.DeadLetter(broken, run.Cancelled)) is null
                    ? ["there is no row with its key"]
                    : []
        );
        run.Expect(
            letter!.Value.Code == "bad-json" && letter.Value.Value.AsSpan().SequenceEqual(Encoding.UTF8.GetBytes(body)),
            "reason bad-json, and the whole event as it came",
            $"reason {letter.Value.Code}, {letter.Value.Value?.Length ?? 0} bytes of {body.Length}"
        );
        return $"kept whole with reason {letter.Value.Code}; the customer behind it was in step after {Ms(took)}";
    }

    static async Task<string> Outage(FlowRun run)
    {
        string[] ids = [.. Enumerable.Range(1, 20).Select(i => Id("outage", i))];
        await run.Sandbox.AddFault(new FaultOrder { Vendor = StripeApi.Vendor, Kind = FaultKind.Down });
        try
        {
            run.Say("Stripe refuses connections");
            foreach (var id in ids)
                await run.Create(id, Person(id));
            var salesforce = await run.Until(
                "Salesforce goes on while Stripe is down",
                () =>
                {
                    var accounts = run.Eyes.Salesforce();
                    return Task.FromResult<IReadOnlyList<string>>([
                        .. ids.Where(id => !accounts[id].Any()).Select(id => $"{id}: is not in Salesforce"),
                    ]);
                }
            );
            await run.Wait(TimeSpan.FromSeconds(3));
            var saga = await run.Eyes.Saga(ids, run.Cancelled);
            run.Expect(
                ids.All(id => saga.GetValueOrDefault(id) is { } row && row.Behind.SequenceEqual([SystemNames.Stripe])),
                "the saga says of all 20: behind in Stripe, and only there",
                string.Join("; ", saga.Values.Select(row => row.ToString()).Distinct())
            );

            await run.Sandbox.ClearFaults(StripeApi.Vendor);
            run.Say("Stripe is back");
            var recovered = await run.InStep(ids);
            return $"Salesforce had all 20 after {Ms(salesforce)}; Stripe {Ms(recovered)} after it came back; nothing lost";
        }
        finally
        {
            await run.Sandbox.ClearFaults(StripeApi.Vendor);
        }
    }

    static async Task<string> TimeOut(FlowRun run)
    {
        const string id = "demo-timeout";
        await run.Sandbox.AddFault(
            new FaultOrder
            {
                Vendor = StripeApi.Vendor,
                Kind = FaultKind.HangAfter,
                Operation = "customers.create",
                Next = 1,
            }
        );
        await run.Sandbox.AddFault(
            new FaultOrder
            {
                Vendor = SalesforceApi.Vendor,
                Kind = FaultKind.DropAfter,
                Operation = "account.create",
                Next = 1,
            }
        );
        try
        {
            run.CountCalls();
            run.Say("Stripe creates and does not answer, Salesforce creates and hangs up");
            await run.Create(id, Person(id));
            var took = await run.InStep(id);
            run.Expect(
                run.Sandbox.Faults.List().Count == 0,
                "both faults hit a call",
                $"{run.Sandbox.Faults.List().Count} did not"
            );
            return $"{Ms(took)}: one customer in Stripe, one account in Salesforce; {run.Calls}";
        }
        finally
        {
            await run.Sandbox.ClearFaults();
        }
    }

    static async Task<string> Crash(FlowRun run)
    {
        string[] ids = [.. Enumerable.Range(1, 40).Select(i => Id("crash", i))];
        await run.Sandbox.AddFault(
            new FaultOrder
            {
                Vendor = StripeApi.Vendor,
                Kind = FaultKind.Slow,
                DelayMs = 500,
            }
        );
        var stripe = run.Stack.Stripe;
        try
        {
            run.CountCalls();
            foreach (var id in ids)
                await run.Create(id, Person(id));
            await run.Until(
                "Stripe is in the middle of it",
                () => run.Eyes.Stripe().Count(customer => ids.Contains(customer.Key, StringComparer.Ordinal)) >= 5,
                () => "Stripe has fewer than 5 of the 40"
            );
            var pid = stripe.Pid;
            stripe.Kill();
            var done = run.Eyes.Stripe().Count(customer => ids.Contains(customer.Key, StringComparer.Ordinal));
            run.Say($"process {pid} is gone with {done} of 40 done");
            await run.Sandbox.ClearFaults(StripeApi.Vendor);
            run.Expect(
                done < ids.Length,
                "the kill came before everything was done",
                $"{done} of {ids.Length} were done"
            );

            stripe.Start();
            await stripe.WaitUntilReady(run.Cancelled);
            run.Say($"started again as process {stripe.Pid}");
            var took = await run.InStep(ids);
            return $"process {pid} killed with {done} of 40 in Stripe; {Ms(took)} after the restart all 40 are there, each once";
        }
        finally
        {
            await run.Sandbox.ClearFaults(StripeApi.Vendor);
            if (stripe.Pid is null)
                stripe.Start();
        }
    }

    static async Task<string> Thousand(FlowRun run)
    {
        string[] ids = [.. Enumerable.Range(1, Many).Select(i => Id("many", i))];
        run.CountCalls();
        var began = Stopwatch.GetTimestamp();
        await Parallel.ForEachAsync(
            ids,
            new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = run.Cancelled },
            async (id, _) => await run.Create(id, Person(id))
        );
        run.Say($"{Many:N0} created in the product");
        await run.InStep(ids);
        var took = Stopwatch.GetElapsedTime(began);
        var salesforce = run.SalesforceCalls.Total;
        run.Expect(salesforce <= 40, $"a dozen or so calls to Salesforce, not {Many:N0}", $"{salesforce} calls");
        return $"{took.TotalSeconds:N1} s: {run.Calls}";
    }

    static Flow Everywhere(Cell cell) =>
        new(
            cell.ToString(),
            async run =>
            {
                run.CountCalls();
                var took = await Matrix.Run(cell, run);
                Seen.Everybody[cell] = took;
                return $"{Ms(took)}; {run.Calls}";
            }
        );

    static IEnumerable<Flow> Without(Place down)
    {
        var outage = new Outage(down);
        foreach (var cell in outage.Cells)
        {
            yield return new($"{cell} while {WhoIsDown(down)}", run => Meanwhile(outage, cell, run))
            {
                During = outage,
            };
        }

        yield return new(
            $"{(down == Place.Product ? "the product" : down.Name)} is back and catches up with all six",
            async run => $"{Ms(await outage.End(run))} after it came back: nothing lost, nothing twice"
        )
        {
            During = outage,
        };
    }

    static async Task<string> Meanwhile(Outage outage, Cell cell, FlowRun run)
    {
        var took = await outage.Run(cell, run);
        Seen.Meanwhile[cell] = took;
        return took is { } reached
            ? Ms(reached)
            : $"{cell.Target} is asked once the product has said whether this person is a new one";
    }

    static string WhoIsDown(Place place) =>
        place == Place.Product ? "the product applies no commands" : $"{place} is down";

    static string Id(string flow, int number) =>
        string.Create(CultureInfo.InvariantCulture, $"demo-{flow}-{number:0000}");

    static string Person(string id) =>
        new JsonObject
        {
            ["name"] = $"Customer {id}",
            ["email"] = $"{id}@example.org",
            ["address"] = new JsonObject { ["city"] = "London", ["country"] = "GB" },
        }.ToJsonString();

    static Headers CloudEvent(string type) =>
        new()
        {
            { "ce_specversion", "1.0"u8.ToArray() },
            { "ce_id", Encoding.UTF8.GetBytes("demo-1") },
            { "ce_source", "demo"u8.ToArray() },
            { "ce_type", Encoding.UTF8.GetBytes(type) },
            { "content-type", "application/json"u8.ToArray() },
        };

    public static string Ms(TimeSpan time) =>
        time.TotalSeconds < 10 ? $"{time.TotalMilliseconds:N0} ms" : $"{time.TotalSeconds:N1} s";
}
