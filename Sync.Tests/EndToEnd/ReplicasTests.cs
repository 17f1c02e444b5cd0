using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Sandbox;
using Sync.Sandbox.Demo;
using Sync.Sandbox.Product;
using Sync.Sandbox.Stack;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary>
/// Two of every process over one Kafka and one PostgreSQL, and one of each dies in mid-work. The kernel alone goes through
/// 200,000 records in <c>KillTests</c>, where a table of effects tells each record's own; here it is the whole way to the
/// vendors, with fewer.
/// </summary>
[Collection(EndToEndCollection.Name)]
public sealed class ReplicasTests
{
    const int Customers = 200;

    static readonly string[] Schemas = ["sync", "stripe", "salesforce"];

    /// <summary>Six processes on one machine take minutes, so it is run by <c>./sync test --thorough</c>.</summary>
    [Fact(Explicit = true)]
    public async Task Two_of_every_process_share_the_work_and_when_one_of_each_is_killed_every_effect_is_there_once()
    {
        await using var postgres = await TestPostgres.Create();
        await using var stack = await SyncStack.Create(
            RunningStack.Options(postgres, "replicas"),
            TestContext.Current.CancellationToken
        );
        var run = new FlowRun(stack, static _ => { }, TestContext.Current.CancellationToken);
        var (stripe, salesforce) = (new ConcurrentBag<string>(), new ConcurrentBag<string>());
        stack.Sandbox.Stripe.Written = record => stripe.Add((string?)record["metadata"]?["customer_id"] ?? "");
        stack.Sandbox.Salesforce.Written = record =>
            salesforce.Add(record.Values.GetValueOrDefault("Product_Customer_Id__c") ?? "");
        await stack.Start(ready: null, run.Cancelled);
        await using var seconds = await Seconds.Start(stack, run.Cancelled);
        foreach (var schema in Schemas)
            await Eventually.Is(async () => await Owners(schema) == 2, $"both replicas have partitions in {schema}");

        string[] ids = [.. Enumerable.Range(1, Customers).Select(i => $"replicas-{i}")];
        var creating = Task.Run(async () =>
        {
            foreach (var id in ids)
                await run.Create(id, new JsonObject { ["name"] = $"{RunningStack.Personal} {id}" }.ToJsonString());
        });
        await Eventually.Is(() => stripe.Count > Customers / 10 && !salesforce.IsEmpty, "the vendors have some");
        foreach (var process in stack.Processes)
            process.Kill();
        Assert.True(stripe.Count < Customers, "everything was done before the kill");
        await creating;

        await Eventually.Is(
            async () =>
                await postgres.Scalar<long>(
                    "select count(*) from dashboard.customers where state = 'Live' and behind = '{}' and attention is null"
                ) == Customers,
            "nobody is behind"
        );
        await run.InStep(ids);
        foreach (var schema in Schemas)
            await Eventually.Is(async () => await Owners(schema) == 1, $"the one that is left has all of {schema}");
        Assert.Equal(ids.Order(StringComparer.Ordinal), stripe.Order(StringComparer.Ordinal));
        Assert.Equal(ids.Order(StringComparer.Ordinal), salesforce.Order(StringComparer.Ordinal));

        Task<long> Owners(string schema) =>
            postgres.Scalar<long>($"select count(distinct owner) from {schema}.consumer_offset");
    }

    /// <summary>
    /// A catalog with many edits of everybody. Each process is there twice with half of the partitions; while the customers
    /// are created one of each is killed, and comes back. At the end every event has had its effect once: the timeline, which
    /// is only appended to, has one row for each and one command to create for each customer and vendor, the offsets stand
    /// where the events end, and each vendor has ever had one record of each customer, with what the product says. What a
    /// process holds in memory does not grow with what went through it.
    /// </summary>
    /// <remarks>
    /// It takes some minutes, so it is run by <c>./sync test --thorough</c>. What 200,000 events do to offsets, order and memory
    /// is shown where they cost no vendor calls, by the kernel's own test.
    /// </remarks>
    [Fact(Explicit = true)]
    public async Task A_catalog_goes_once_through_two_of_every_process_while_one_of_each_dies_and_memory_stays_flat()
    {
        const int many = 2_000;
        const int edits = 4;
        await using var postgres = await TestPostgres.Create();
        await using var stack = await SyncStack.Create(Unbounded(postgres), TestContext.Current.CancellationToken);
        var run = new FlowRun(stack, static _ => { }, TestContext.Current.CancellationToken);
        var created = 0;
        stack.Sandbox.Stripe.Written = _ => Interlocked.Increment(ref created);
        await stack.Start(ready: null, run.Cancelled);
        await using var seconds = await Seconds.Start(stack, run.Cancelled);
        var memory = new Memory([.. stack.Processes, .. seconds.Processes]);
        await Shared("before");

        foreach (var number in Enumerable.Range(0, many))
            _ = run.Sandbox.Product.Create(Id(number), Person(number), TraceParents.Of(null));
        await Until("the vendors have a quarter", () => Task.FromResult(Volatile.Read(ref created) > many / 4));
        foreach (var process in stack.Processes)
            process.Kill();
        Assert.InRange(Volatile.Read(ref created), many / 4, many - 1);
        memory.Forget(stack.Processes);
        foreach (var process in stack.Processes)
            process.Start();
        await Task.WhenAll(stack.Processes.Select(process => process.WaitUntilReady(run.Cancelled)));
        await InStep();

        for (var edit = 1; edit <= edits; edit++)
        {
            foreach (var id in Ids(many))
                _ = run.Sandbox.Product.Change(
                    id,
                    new Dictionary<string, string?> { ["address.line1"] = $"{edit} Long Road" },
                    TraceParents.Of(null)
                );
            var told = many * (1L + edit);
            await Until($"{told} events are read", async () => await Read() == told);
            await InStep();
            // All edits are one like the other: what the first one takes is what the others may take.
            if (edit == 1)
                memory.IsWarm();
        }

        memory.Judge();
        await run.InStep([.. Ids(many)]);
        await Shared("after");
        Assert.Equal(many, run.Sandbox.Stripe.All().Count);
        Assert.Equal(many, run.Sandbox.Salesforce.All().Count);
        Assert.Equal(
            (many * (1L + edits), many * (1L + edits), many, many),
            (
                await Rows("count(*)", "code = 'product.snapshot'"),
                await Rows("count(distinct message_id)", "code = 'product.snapshot'"),
                await Rows("count(distinct customer_id)", "code = 'command.create' and system = 'stripe'"),
                await Rows("count(distinct customer_id)", "code = 'command.create' and system = 'salesforce'")
            )
        );
        Assert.Equal(2L * many, await Rows("count(*)", "code = 'command.create'"));
        Assert.Equal(
            await Rows("count(*)", "code in ('command.create', 'command.update')"),
            await Rows("count(*)", "code = 'answered'")
        );
        foreach (var schema in Schemas)
        {
            foreach (var table in (string[])["dead_letter", "feed_gap"])
                Assert.Equal(0, await postgres.Scalar<long>($"select count(*) from {schema}.{table}"));
            await Eventually.Is(
                async () => await postgres.Scalar<long>($"select count(*) from {schema}.outbox") == 0,
                $"every message of {schema} has left"
            );
        }

        Task InStep() =>
            Until(
                "all are in step",
                async () =>
                    await postgres.Scalar<long>(
                        "select count(*) from sync.customer where current_state = 'Live' and behind = '{}' and attention is null"
                    ) == many
            );

        Task<long> Rows(string what, string where) =>
            postgres.Scalar<long>($"select {what} from sync.timeline where {where}");

        Task<long> Read() =>
            postgres.Scalar<long>(
                $"select coalesce(sum(next_offset), 0)::bigint from sync.consumer_offset where topic = '{Topics.Customers}'"
            );

        // Half of the partitions each.
        async Task Shared(string when)
        {
            foreach (var schema in Schemas)
            {
                await Until(
                    $"both replicas have half of the partitions in {schema}, {when}",
                    async () =>
                        await postgres.Scalar<bool>(
                            $"""
                            select count(*) = 2 and min(partitions) = max(partitions)
                              from (select owner, count(*) as partitions from {schema}.consumer_offset group by owner) owned
                            """
                        )
                );
            }
        }

        async Task Until(string what, Func<Task<bool>> holds)
        {
            var began = Stopwatch.GetTimestamp();
            using var looks = new PeriodicTimer(TimeSpan.FromSeconds(1), TimeProvider.System);
            while (!await holds())
            {
                if (Stopwatch.GetElapsedTime(began) > TimeSpan.FromMinutes(15))
                    Assert.Fail($"never became true: {what}");
                stack.ThrowIfAnyDied();
                memory.Look();
                await looks.WaitForNextTickAsync(run.Cancelled);
            }
        }
    }

    /// <summary>Vendors that allow enough calls: what is shown is Sync's own.</summary>
    static StackOptions Unbounded(TestPostgres postgres) =>
        RunningStack.Options(postgres, "replicas-catalog") with
        {
            Sandbox = new SandboxOptions
            {
                StripeCallsPerSecond = 5_000,
                StripeCallsPerEndpointSecond = 2_000,
                SalesforceDailyRequests = 100_000_000,
            },
            StripeSettings = new Dictionary<string, string>
            {
                ["STRIPE__WRITESPERSECOND"] = "1000",
                ["STRIPE__READSPERSECOND"] = "1000",
                ["STRIPE__CALLSPERSECOND"] = "4000",
            },
        };

    static string Id(int number) => $"catalog-{number}";

    static IEnumerable<string> Ids(int count) => Enumerable.Range(0, count).Select(Id);

    static CustomerFields Person(int number) =>
        new()
        {
            ["name"] = $"{RunningStack.Personal} {number}",
            ["email"] = $"catalog{number}@example.org",
            ["phone"] = $"+4420{number:D8}",
            ["address.line1"] = "0 Long Road",
            ["address.city"] = "London",
            ["address.country"] = "GB",
        };

    /// <summary>A second replica of each process of a stack.</summary>
    sealed class Seconds : IAsyncDisposable
    {
        readonly SyncStack _stack;

        Seconds(SyncStack stack)
        {
            _stack = stack;
            Processes =
            [
                Second("orchestrator", "Sync.Orchestrator", stack.OrchestratorSettings()),
                Second("stripe", "Sync.Stripe.Adapter", stack.StripeSettings()),
                Second("salesforce", "Sync.Salesforce.Adapter", stack.SalesforceSettings()),
            ];
        }

        public IReadOnlyList<ManagedProcess> Processes { get; }

        public static async Task<Seconds> Start(SyncStack stack, CancellationToken cancellationToken)
        {
            var seconds = new Seconds(stack);
            try
            {
                foreach (var process in seconds.Processes)
                    process.Start();
                await Task.WhenAll(seconds.Processes.Select(process => process.WaitUntilReady(cancellationToken)));
                return seconds;
            }
            catch
            {
                await seconds.DisposeAsync();
                throw;
            }
        }

        public async ValueTask DisposeAsync() =>
            await Task.WhenAll(Processes.Select(process => process.DisposeAsync().AsTask()));

        ManagedProcess Second(string name, string project, Dictionary<string, string> settings)
        {
            settings["SYNC__REPLICA"] = $"{name}-2";
            if (settings.ContainsKey("STRIPE__WEBHOOKPORT"))
                settings["STRIPE__WEBHOOKPORT"] = $"{ManagedProcess.FreePort()}";
            return _stack.Process($"{name}-2", project, settings);
        }
    }

    /// <summary>What processes hold in memory: at most until they are warm, and at most from then on.</summary>
    sealed class Memory(IReadOnlyList<ManagedProcess> processes)
    {
        /// <summary>Room for what a collector of garbage leaves for later.</summary>
        const long Room = 96L * 1024 * 1024;

        readonly Dictionary<ManagedProcess, (long Warm, long Most)> _held = processes.ToDictionary(
            process => process,
            _ => (0L, 0L)
        );

        public void Look()
        {
            foreach (var process in processes)
            {
                var (warm, most) = _held[process];
                if (process.Pid is not null)
                    _held[process] = (warm, Math.Max(most, Resident(process)));
            }
        }

        /// <summary>A process that was started anew has held nothing yet.</summary>
        public void Forget(IEnumerable<ManagedProcess> started)
        {
            foreach (var process in started)
                _held[process] = (0, 0);
        }

        public void IsWarm()
        {
            Look();
            foreach (var process in processes)
                _held[process] = (_held[process].Most, 0);
        }

        public void Judge()
        {
            Look();
            foreach (var (process, (warm, most)) in _held)
                TestContext.Current.TestOutputHelper?.WriteLine(
                    $"{process.Name}: at most {warm >> 20} MB until warm, {most >> 20} MB from then on"
                );
            Assert.All(_held, held => Assert.InRange(held.Value.Most, 1, held.Value.Warm + Room));
        }

        static long Resident(ManagedProcess process) =>
            1_024
            * long.Parse(
                File.ReadLines($"/proc/{process.Pid}/status")
                    .First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal))
                    .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
                CultureInfo.InvariantCulture
            );
    }
}
