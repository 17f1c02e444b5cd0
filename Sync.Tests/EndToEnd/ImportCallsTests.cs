using System.Text.Json.Nodes;
using Sync.Orchestrator.Commands;
using Sync.Sandbox.Demo;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stack;
using Sync.Sandbox.Stripe;
using Sync.Tests.Orchestrator;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary>
/// What a dry run says that an import costs, beside what the vendors then count. The estimate has to be an upper bound, so the
/// adapter of the vendor with calls for many records is kept to one at a time here: with full calls it needs far fewer, and
/// how full they are is a matter of timing.
/// </summary>
/// <remarks>
/// The arithmetic, in calls for each object. L is a look, U an update, which looks before and after it writes.
/// <list type="table">
/// <item>Made a customer: estimated L + U = 4 in the vendor that is imported. Salesforce takes 4; Stripe's answers show the
/// record, so it is not looked at again, and takes 3.</item>
/// <item>The same customer in the other vendor: estimated 4, as if the person were there already (L + U). Salesforce takes that
/// or, where nobody is there, 2: write and look. Stripe takes 1 then.</item>
/// <item>Linked by e-mail: L + U. Linked by id: two looks, and nothing has to be written.</item>
/// <item>Parked: one look; two where it carries an id.</item>
/// </list>
/// So in the vendor that is imported the estimate is less than twice what is taken, and in another at most four times.
/// </remarks>
[Collection(EndToEndCollection.Name)]
public sealed class ImportCallsTests
{
    const int New = 6;
    const int AlsoThere = 2;

    /// <summary>In step before the import. The last two have one e-mail, and the first ones are forgotten.</summary>
    const int Known = 8;
    const int Forgotten = 5;

    [Fact]
    public async Task An_import_takes_no_more_calls_than_its_dry_run_said_and_the_dry_run_does_not_exaggerate()
    {
        await using var postgres = await TestPostgres.Create();
        await using var stack = await SyncStack.Create(Options(postgres), TestContext.Current.CancellationToken);
        var run = new FlowRun(stack, static _ => { }, TestContext.Current.CancellationToken);
        for (var i = 0; i < AlsoThere; i++)
            await Salesforce.Make(run, Person(NewIn(Stripe.Name, i)));
        await stack.Start(ready: null, run.Cancelled);
        string[] known = [.. Enumerable.Range(0, Known).Select(i => $"known-{i}")];
        foreach (var id in known)
            await run.Create(id, Place.Product.Form(Person(id == known[^1] ? known[^2] : id)).ToJsonString());
        await run.InStep(known);

        foreach (var vendor in (Vendor[])[Stripe, Salesforce])
        {
            var hooks = run.Sandbox.Stripe.Webhooks;
            var endpoint = (string)hooks.List(StripeForm.Parse("").Root)["data"]![0]!["id"]!;
            await Quiet(run, postgres);
            // What is done by hand now, nobody tells of.
            hooks.Update(endpoint, StripeForm.Parse("disabled=true").Root);
            await Fill(run, postgres, vendor, known);
            hooks.Update(endpoint, StripeForm.Parse("disabled=false").Root);
            run.CountCalls();

            var dry = await Import(run, vendor, "--dry-run");

            Assert.Equal(
                new Dictionary<string, int>
                {
                    ["ambiguous"] = 1,
                    // One of them without an e-mail.
                    ["create"] = New + 1,
                    ["duplicate"] = 2,
                    ["link"] = Forgotten,
                    ["unknown-customer"] = 1,
                },
                dry["classes"]!
                    .AsArray()
                    .ToDictionary(c => (string)c!["class"]!, c => (int)c!["objects"]!, StringComparer.Ordinal)
            );
            Assert.Equal((0, 0), (Taken(run, StripeApi.Vendor), Taken(run, SalesforceApi.Vendor)));

            var said = await Import(run, vendor, "--yes");
            await Quiet(run, postgres);

            Assert.Equal(
                (New + 1 + Forgotten, 4),
                ((int)said["results"]!["linked"]!, (int)said["results"]!["parked"]!)
            );
            foreach (var other in (string[])[Stripe.Name, Salesforce.Name])
            {
                var most = (int)dry["mostCalls"]![other]!;
                var taken = Taken(run, other);
                var counted = run.Sandbox.Calls.Of(other).Operations.Select(o => $"{o.Key} {o.Value}");
                Assert.True(
                    taken <= most && most <= taken * (other == vendor.Name ? 2 : 4),
                    $"import from {vendor.Name}: {most} calls of {other} were said, {taken} were taken: {string.Join(", ", counted)}; {dry["calls"]}"
                );
            }

            await run.InStep(known);
        }
    }

    /// <summary>The vendor that is imported, and how an object of it is edited by hand.</summary>
    sealed record Vendor(string Name, Place Place, Func<FlowRun, ILookup<string, JsonObject>> ById)
    {
        /// <summary>What makes an object carry an id, or none.</summary>
        public required Func<string?, JsonObject> Carrying { get; init; }

        public Task Make(FlowRun run, Dictionary<string, string?> person, string? id = null) =>
            run.Send(HttpMethod.Post, Place.Root, Both(Place.Form(person), id));

        /// <summary>A person takes the id off a customer's object, and edits it.</summary>
        public Task Strip(FlowRun run, string customer, Dictionary<string, string?> edit) =>
            run.Send(
                HttpMethod.Patch,
                $"{Place.Root}/{(string)ById(run)[customer].Single()[Place.IdField]!}",
                Both(Place.Form(edit), id: null)
            );

        JsonObject Both(JsonObject form, string? id)
        {
            foreach (var (name, value) in Carrying(id))
                form[name] = value?.DeepClone();
            return form;
        }
    }

    static readonly Vendor Stripe = new(StripeApi.Vendor, Place.Stripe, run => run.Eyes.Stripe())
    {
        Carrying = id => new() { ["metadata"] = new JsonObject { ["customer_id"] = id ?? "" } },
    };

    static readonly Vendor Salesforce = new(SalesforceApi.Vendor, Place.Salesforce, run => run.Eyes.Salesforce())
    {
        Carrying = id => new() { ["Product_Customer_Id__c"] = id },
    };

    /// <summary>
    /// As after databases were restored: of some customers it is not known any more which object they have here. Two objects
    /// carry the id still, three are known by their e-mail alone, and one of those was edited. Beside them stand people whom
    /// nobody knows.
    /// </summary>
    static async Task Fill(FlowRun run, TestPostgres postgres, Vendor vendor, string[] known)
    {
        var forgotten = known[..Forgotten];
        await vendor.Strip(run, known[2], []);
        await vendor.Strip(run, known[3], []);
        await vendor.Strip(run, known[4], new() { ["phone"] = "+442079460555" });
        var ids = string.Join(',', forgotten.Select(id => $"'{id}'"));
        await postgres.Execute(
            $"""
            update sync.customer set systems = systems #- array['systems', '{vendor.Name}'] where customer_id in ({ids});
            delete from {vendor.Name}.link where lane in (select 'customer:' || id from unnest(array[{ids}]) id)
            """
        );

        for (var i = 0; i < New; i++)
            await vendor.Make(run, Person(NewIn(vendor.Name, i)));
        await vendor.Make(run, new() { ["name"] = $"{RunningStack.Personal} without an e-mail" });
        // Once more one of the list, one who has an object, the two with one e-mail, and an id that nobody has.
        await vendor.Make(run, Person(NewIn(vendor.Name, New - 1)));
        await vendor.Make(run, Person(known[Forgotten]));
        await vendor.Make(run, Person(known[^2]));
        await vendor.Make(run, Person($"{vendor.Name}-ghost"), id: $"{vendor.Name}-ghost");
    }

    static string NewIn(string vendor, int number) => $"{vendor}-new-{number}";

    static Dictionary<string, string?> Person(string who) =>
        new()
        {
            ["name"] = $"{RunningStack.Personal} {who}",
            ["email"] = $"{who}.{RunningStack.Personal}@example.org".ToLowerInvariant(),
            ["phone"] = "+442079460123",
        };

    static async Task<JsonNode> Import(FlowRun run, Vendor vendor, string option)
    {
        var printed = await CommandLineStage.Run(
            run.Stack.OrchestratorSettings()
                .ToDictionary(s => s.Key.Replace("__", ":", StringComparison.Ordinal), s => (string?)s.Value),
            typed: null,
            "import",
            "--from",
            vendor.Name,
            option,
            "--json",
            "--wait",
            "120"
        );
        Assert.True(printed.ExitCode == ExitCodes.Done, printed.Out + printed.Error);
        return JsonNode.Parse(printed.Out)!;
    }

    /// <summary>Calls about records. Lists, feeds, tokens and the look at an org's fields come whether or not anything happens.</summary>
    static int Taken(FlowRun run, string vendor) =>
        run
            .Sandbox.Calls.Of(vendor)
            .Operations.Where(o =>
                o.Key.Split('.') is ["customers" or "account" or "collections", var what]
                && what is not ("list" or "search" or "describe")
            )
            .Sum(o => o.Value);

    /// <summary>Until nobody is behind, nothing is on its way and every echo was heard.</summary>
    static Task Quiet(FlowRun run, TestPostgres postgres) =>
        Eventually.Is(
            async () =>
                (int)run.Sandbox.Stripe.Webhooks.State()["onTheWay"]! == 0
                && await postgres.Scalar<long>(
                    """
                    select (select count(*) from sync.customer where behind <> array[]::text[])
                         + (select count(*) from sync.found_object where current_state = 'Asking')
                         + (select count(*) from stripe.work) + (select count(*) from salesforce.work)
                    """
                ) == 0,
            "nothing is on its way"
        );

    static StackOptions Options(TestPostgres postgres)
    {
        var options = RunningStack.Options(postgres, "import-calls");
        return options with
        {
            StripeSettings = new Dictionary<string, string>(options.StripeSettings)
            {
                // The webhooks alone tell, and they can be taken away.
                ["STRIPE__EVENTSSECONDS"] = "86400",
            },
            SalesforceSettings = new Dictionary<string, string>(options.SalesforceSettings)
            {
                ["SALESFORCE__FEED"] = "sweep",
                ["SALESFORCE__SWEEPSECONDS"] = "86400",
                ["ADAPTER__BATCH"] = "1",
            },
        };
    }
}
