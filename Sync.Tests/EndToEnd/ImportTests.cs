using System.Text.Json.Nodes;
using Npgsql;
using Sync.Contracts;
using Sync.Sandbox;
using Sync.Sandbox.Demo;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Stack;
using Sync.Sandbox.Stripe;
using Sync.Tests.Orchestrator;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary>
/// The first day over real processes: an account full of strangers, an orchestrator that is killed while it acts on what it
/// found, then orchestrator and adapter together while the vendor's answers are withheld, and both come back. It acts on 500
/// findings a message: with more than that, some are done and some are not.
/// </summary>
[Collection(EndToEndCollection.Name)]
public sealed class ImportTests
{
    const int Piece = 500;
    const int People = 540;
    const int Twins = 5;
    const int AlsoInSalesforce = 60;

    /// <summary>Writes that the vendor answers. It does the next ones as well, and nobody hears of it before the adapter dies.</summary>
    const int Answered = 100;

    /// <summary>Of the lock by which the second piece is held up.</summary>
    const long Lock = 20_260_101;

    const string Phone = "+442079460999";

    /// <summary>More records than one piece holds, and six restarts, take minutes; so <c>./sync test --thorough</c> runs it.</summary>
    [Fact(Explicit = true)]
    public async Task An_orchestrator_and_an_adapter_killed_in_the_middle_of_an_import_or_a_repair_go_on_and_do_nothing_twice()
    {
        await using var postgres = await TestPostgres.Create();
        await using var stack = await SyncStack.Create(Options(postgres), TestContext.Current.CancellationToken);
        var run = new FlowRun(stack, static _ => { }, TestContext.Current.CancellationToken);
        await Fill(run);
        await stack.Start(ready: null, run.Cancelled);

        var said = await Survives(run, postgres, "import", "--from", "stripe", "--yes");

        Assert.Equal(
            (People, Twins, 0, 0),
            (
                (int)said["results"]!["linked"]!,
                (int)said["results"]!["parked"]!,
                (int)said["results"]!["asking"]!,
                (int)said["results"]!["waiting"]!
            )
        );
        var ids = run.Sandbox.Product.List(after: null, int.MaxValue).Select(customer => customer.Id).ToList();
        Assert.Equal(People, ids.Count);
        await InStep(run, postgres, ids);
        // Nobody was made who was there: neither of those found, nor of those whom the other vendor had as well.
        Assert.Equal(People + Twins, run.Sandbox.Stripe.All().Count);
        Assert.Equal(People, run.Sandbox.Salesforce.All().Count);
        Assert.Equal(People, run.Eyes.Stripe().Count(record => record.Key.Length > 0));
        Assert.Equal(Twins, run.Eyes.Stripe()[""].Count());
        // Each got its id by one write.
        Assert.Equal(People, Place.Stripe.Writes(run.Sandbox));
        Assert.Equal(People + Twins, Asked(stack, Topics.Commands("stripe"), "sync.object.read.v1"));

        // As after a backup: Sync knows better than the vendor, and nobody has told it to write.
        await postgres.Execute(
            $"update sync.customer set golden = jsonb_set(golden, array['fields', 'phone'], to_jsonb(text '{Phone}'))"
        );
        run.CountCalls();

        await Survives(run, postgres, "reconcile", "--system", "stripe", "--repair");

        await Eventually.Is(() => Place.Stripe.Writes(run.Sandbox) >= People, "everybody is written");
        await InStep(run, postgres, ids);
        Assert.All(ids, id => Assert.Equal(Phone, (string?)Assert.Single(run.Eyes.Stripe()[id])["phone"]));
        Assert.Equal(People, Place.Stripe.Writes(run.Sandbox));
        Assert.Equal(People, Asked(stack, Topics.Requests, "sync.request.resync.v1"));
    }

    /// <summary>
    /// The verb looks on while the orchestrator dies with the second piece half written and comes back, and then dies again with
    /// the adapter, which has no answer to what the vendor has just done. What was done before stays done, and it is one run
    /// from its beginning to its end.
    /// </summary>
    static async Task<JsonNode> Survives(FlowRun run, TestPostgres postgres, params string[] verb)
    {
        var (orchestrator, adapter) = (run.Stack.Orchestrator, run.Stack.Stripe);
        var before = Place.Stripe.Writes(run.Sandbox);
        int Arrived() => Place.Stripe.Writes(run.Sandbox) - before;
        var done = 0;
        run.Sandbox.Stripe.Written = _ => Interlocked.Increment(ref done);
        var update = new FaultOrder
        {
            Vendor = StripeApi.Vendor,
            Kind = FaultKind.Slow,
            Operation = "customers.update",
            DelayMs = 1,
            Next = Answered,
        };
        await run.Sandbox.AddFault(update);
        await run.Sandbox.AddFault(update with { Kind = FaultKind.HangAfter, DelayMs = null, Next = null });
        await using var gate = await postgres.DataSource.OpenConnectionAsync(run.Cancelled);
        await Execute(gate, $"select pg_advisory_lock({Lock})");
        await postgres.Execute(
            $"""
            create function public.hold() returns trigger language plpgsql as 'begin
              if (select applied >= {Piece} from sync.comparison where id = new.comparison_id) then
                perform pg_advisory_xact_lock({Lock});
              end if;
              return new;
            end';
            create trigger hold before update on sync.comparison_finding
              for each row when (new.applied and not old.applied) execute function public.hold()
            """
        );
        var looking = CommandLineStage.Run(
            run.Stack.OrchestratorSettings()
                .ToDictionary(s => s.Key.Replace("__", ":", StringComparison.Ordinal), s => (string?)s.Value),
            typed: null,
            [.. verb, "--json", "--wait", "180"]
        );
        await Eventually.Is(
            async () =>
                looking.IsCompleted
                || await postgres.Scalar<long>(
                    $"select count(*) from pg_locks where locktype = 'advisory' and objid = {Lock} and not granted"
                ) > 0,
            "the second piece is about to be written"
        );
        Assert.False(looking.IsCompleted, looking.IsCompleted ? (await looking).Out + (await looking).Error : "");
        var standing = await Standing(postgres, verb[0]);
        Assert.Equal(Piece, standing.Applied);
        Assert.Equal("applying", standing.State);

        orchestrator.Kill();
        await Execute(gate, $"select pg_advisory_unlock({Lock})");
        await Eventually.Is(
            async () =>
                await postgres.Scalar<long>(
                    $"select count(*) from pg_locks where locktype = 'advisory' and objid = {Lock}"
                ) == 0,
            "the server has let the killed transaction go"
        );
        await postgres.Execute("drop function public.hold() cascade");
        Assert.Equal(standing, await Standing(postgres, verb[0]));
        orchestrator.Start();
        await orchestrator.WaitUntilReady(run.Cancelled);

        await Eventually.Is(
            () => Arrived() > Answered && Arrived() == Volatile.Read(ref done),
            "the vendor has done what nobody knows of"
        );
        adapter.Kill();
        orchestrator.Kill();
        Assert.InRange(Arrived(), Answered + 1, People - 1);
        await run.Sandbox.ClearFaults(StripeApi.Vendor);
        foreach (var process in (ManagedProcess[])[orchestrator, adapter])
            process.Start();
        await Task.WhenAll(orchestrator.WaitUntilReady(run.Cancelled), adapter.WaitUntilReady(run.Cancelled));

        var printed = await looking;
        Assert.True(printed.ExitCode == 0, printed.Out + printed.Error);
        var after = await Standing(postgres, verb[0]);
        Assert.Equal((standing.Id, "done"), (after.Id, after.State));
        Assert.Equal(verb[0] == "import" ? People + Twins : People, after.Applied);
        return JsonNode.Parse(printed.Out)!;
    }

    sealed record Comparison(Guid Id, string State, long Applied);

    /// <summary>The one comparison of a kind.</summary>
    static async Task<Comparison> Standing(TestPostgres postgres, string kind)
    {
        await using var command = postgres.DataSource.CreateCommand(
            $"select id, state, applied from sync.comparison where kind = '{kind}'"
        );
        await using var rows = await command.ExecuteReaderAsync();
        Assert.True(await rows.ReadAsync());
        var one = new Comparison(rows.GetGuid(0), rows.GetString(1), rows.GetInt64(2));
        Assert.False(await rows.ReadAsync());
        return one;
    }

    /// <summary>Messages of a type; one that was sent again after a crash is the same message.</summary>
    static int Asked(SyncStack stack, string topic, string type)
    {
        using var reader = new KafkaReader(stack.Sandbox.BootstrapServers, Topics.Partitions, topic);
        var ends = Enumerable.Range(0, Topics.Partitions).Sum(p => reader.Watermarks(topic, p).High);
        return reader
            .Read((int)ends)
            .GetAwaiter()
            .GetResult()
            .Where(record => record.Header("ce_type") == type)
            .Select(record => record.Header("ce_id"))
            .Distinct()
            .Count();
    }

    static async Task InStep(FlowRun run, TestPostgres postgres, IReadOnlyCollection<string> ids)
    {
        // Cheap looks first.
        await Eventually.Is(
            async () =>
                await postgres.Scalar<long>(
                    "select count(*) from dashboard.customers where state = 'Live' and behind = '{}' and attention is null"
                ) == ids.Count,
            "no customer is behind"
        );
        await run.InStep(ids);
    }

    /// <summary>By hand, and before anybody listens. Twins have the e-mail of somebody who was there before them.</summary>
    static async Task Fill(FlowRun run)
    {
        var hooks = run.Sandbox.Stripe.Webhooks;
        var endpoint = (string)hooks.List(StripeForm.Parse("").Root)["data"]![0]!["id"]!;
        hooks.Update(endpoint, StripeForm.Parse("disabled=true").Root);
        for (var i = 0; i < People + Twins; i++)
            await run.Send(HttpMethod.Post, Place.Stripe.Root, Place.Stripe.Form(Person(i % People)));
        for (var i = 0; i < AlsoInSalesforce; i++)
            await run.Send(HttpMethod.Post, Place.Salesforce.Root, Place.Salesforce.Form(Person(i)));
        hooks.Update(endpoint, StripeForm.Parse("disabled=false").Root);
    }

    static Dictionary<string, string?> Person(int number) =>
        new()
        {
            ["name"] = $"{RunningStack.Personal} {number}",
            ["email"] = $"first-day-{number}.{RunningStack.Personal}@example.org".ToLowerInvariant(),
        };

    static StackOptions Options(TestPostgres postgres)
    {
        var options = RunningStack.Options(postgres, "import");
        return options with
        {
            Sandbox = new SandboxOptions { StripeCallsPerSecond = 2_000, StripeCallsPerEndpointSecond = 2_000 },
            StripeSettings = new Dictionary<string, string>(options.StripeSettings)
            {
                ["STRIPE__WRITESPERSECOND"] = "1000",
                ["STRIPE__READSPERSECOND"] = "1000",
                ["STRIPE__CALLSPERSECOND"] = "1900",
                // Where the last event before the begin is only minutes old, its second is told of whole: here that is a hundred
                // people, who would be customers before the import or by it, whichever is faster.
                ["STRIPE__EVENTSSECONDS"] = "86400",
            },
        };
    }

    static async Task Execute(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
