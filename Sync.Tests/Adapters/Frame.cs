using Microsoft.Extensions.Time.Testing;
using Npgsql;
using Sync.Adapter.Budget;
using Sync.Adapter.Following;
using Sync.Adapter.Hosting;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Adapter.Working;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Messaging.Hosting;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters;

/// <summary>An adapter without its process: real tables, a vendor in memory, and a worker that is run step by step.</summary>
sealed class Frame : IAsyncDisposable
{
    static int schemas;

    public const string Customer = "c-1";

    CancellationTokenSource _stop = new();
    Task _running = Task.CompletedTask;

    Frame(TestPostgres database, SystemMap map, Action<FakeVendor>? arrange, AdapterOptions options)
    {
        Database = database;
        Outbox = new TestOutbox(Schema);
        Map = map;
        Options = options;
        Vendor = new FakeVendor(map);
        arrange?.Invoke(Vendor);
        Signal = new WorkSignal(TimeProvider.System);
        Store = new LinkStore(database.DataSource, Schema, Outbox, options.ListFirst);
        Writer = new WorkWriter(AdapterSchema, Signal);
        Hints = new HintIntake(AdapterSchema, Writer);
        Rules = new Rules(map, Vendor.Traits, "test", "hash");
        Backoff = new TestBackoff(options, new Random(1));
        Gate = new VendorGate(map.Name, options, Clock, Log.For<VendorGate>(), Health);
        Usage = new ApiUsage(AdapterSchema, "replica", TimeProvider.System);
        Calls = new VendorCalls(Vendor, options, Gate, Usage, Telemetry, TimeProvider.System, Log.For<VendorCalls>());
        Commits = new LaneCommits(Store, Backoff, Signal, Telemetry, TimeProvider.System, Log.For<LaneCommits>());
        Workers = NewWorkers();
        BeginLoops();
    }

    public TestPostgres Database { get; }

    /// <summary>This test's own tables.</summary>
    public string Schema => AdapterSchema.Name;
    public SystemMap Map { get; }
    public AdapterOptions Options { get; }
    public AdapterSchema AdapterSchema { get; } = new($"vendor_{Interlocked.Increment(ref schemas)}");
    public FakeVendor Vendor { get; }
    public TestOutbox Outbox { get; }
    public TestLog Log { get; } = new();
    public TestHealth Health { get; } = new();
    public FakeTimeProvider Clock { get; } = new(DateTimeOffset.UnixEpoch.AddYears(50));
    public WorkSignal Signal { get; }
    public LinkStore Store { get; }
    public WorkWriter Writer { get; }
    public HintIntake Hints { get; }
    public Rules Rules { get; }
    public TestBackoff Backoff { get; }
    public VendorGate Gate { get; }
    public ApiUsage Usage { get; }
    public AdapterTelemetry Telemetry { get; } = new("vendor");
    public VendorCalls Calls { get; }
    public LaneCommits Commits { get; }
    public Workers Workers { get; }
    public TestMayWork MayWork { get; } = new();

    /// <summary>What most tests run with: an account in which nothing was before.</summary>
    public static AdapterOptions Quick { get; } =
        new()
        {
            GatherMs = 5,
            CallTimeoutSeconds = 30,
            ListFirst = false,
        };

    public static async Task<Frame> Start(
        Action<FakeVendor>? vendor = null,
        string onDelete = "delete",
        string guard = "read",
        AdapterOptions? options = null
    )
    {
        var databases =
            await TestContext.Current.GetFixture<AdapterDatabase>()
            ?? throw new InvalidOperationException("the assembly has no AdapterDatabase");
        var database = await databases.Get();
        var frame = new Frame(database, MapOf(onDelete, guard), vendor, options ?? Quick);
        await database.Execute(
            string.Concat([
                AdapterTables.Create(frame.Schema),
                // Of the kernel's tables, those that an adapter writes into by itself.
                .. MessagingTables
                    .Create(frame.Schema)
                    .Where(t =>
                        t.Contains(".feed_gap (", StringComparison.Ordinal)
                        || t.Contains(".dead_letter (", StringComparison.Ordinal)
                    ),
                FollowingTables.Create(frame.Schema),
                StrangerTables.Create(frame.Schema),
                TestOutbox.Table(frame.Schema),
            ])
        );
        return frame;
    }

    public static SystemMap MapOf(string onDelete = "delete", string guard = "read") =>
        SyncConfig
            .Parse(
                System.Text.Encoding.UTF8.GetBytes(
                    $$"""
                    [
                      { "name": "product", "fields": { "name": { "to": "name" } } },
                      { "name": "vendor", "onDelete": "{{onDelete}}", "guard": "{{guard}}", "fields": {
                        "name": { "to": "Name", "max": 20, "form": ["trim"] },
                        "email": { "to": "Email", "max": 40, "form": ["trim", "lower"] },
                        "phone": { "to": "Phone", "max": 12 } } }
                    ]
                    """
                ),
                "[]"u8
            )
            .System("vendor");

    public Workers NewWorkers() =>
        new(
            Store,
            Calls,
            Commits,
            Gate,
            Rules,
            Backoff,
            Options,
            Signal,
            Outbox,
            MayWork,
            Telemetry,
            TimeProvider.System,
            "replica",
            Log.For<Workers>()
        );

    // ---- what comes in ----

    public static PushCustomer Command(
        Operation operation,
        Dictionary<string, string?>? write = null,
        Dictionary<string, string?>? expect = null,
        string? ext = null,
        int generation = 0,
        string customer = Customer,
        long revision = 1
    ) =>
        new()
        {
            CommandId = Guid.NewGuid(),
            System = "vendor",
            CustomerId = customer,
            Generation = generation,
            Operation = operation,
            ExternalId = ext,
            Revision = revision,
            Write = write ?? [],
            Expect = expect ?? [],
        };

    public static Dictionary<string, string?> Values(params (string Path, string? Value)[] values) =>
        values.ToDictionary(v => v.Path, v => v.Value);

    public async Task TakeIn(params PushCustomer[] commands)
    {
        await using var connection = await Database.DataSource.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await Writer.Write([.. commands.Select(WorkRow.Of)], connection, default);
        await transaction.CommitAsync();
    }

    public async Task TakeIn(params Hint[] hints)
    {
        await using var connection = await Database.DataSource.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await Hints.Take(connection, [.. hints.Select(h => (Guid.NewGuid(), h))], default);
        await transaction.CommitAsync();
    }

    // ---- the worker ----

    /// <summary>Runs every lane that is due, until none is.</summary>
    public async Task Work()
    {
        for (var turn = 0; turn < 50; turn++)
        {
            var lanes = await Store.Take($"worker/{Guid.NewGuid()}", 100, default);
            if (lanes.Count == 0)
                return;
            await Task.WhenAll(lanes.Select(l => Workers.Run(l, default)));
        }

        throw new InvalidOperationException("50 turns and still work: a round does not end its work");
    }

    /// <summary>Takes in, works, and answers the last report.</summary>
    public async Task<CustomerReported> Do(PushCustomer command)
    {
        await TakeIn(command);
        await Work();
        return (await Reports()).LastOrDefault(r => r.Ack == command.CommandId)
            ?? throw new InvalidOperationException($"no answer; {Log}");
    }

    /// <summary>A worker that is dropped after it has had so many needs met. Its lease stays.</summary>
    public async Task<SteppedWorker> Begin() =>
        await TryBegin() ?? throw new InvalidOperationException("no lane is due");

    public async Task<SteppedWorker?> TryBegin() =>
        await Store.Take($"worker/{Guid.NewGuid()}", 1, default) is [var lane] ? new SteppedWorker(this, lane) : null;

    /// <summary>The leases of crashed and of slow workers run out.</summary>
    public Task LeasesRunOut() =>
        Database.Execute(
            $"update {Schema}.link set taken_until = now() - interval '1 s' where taken_until is not null"
        );

    /// <summary>Back-offs are over.</summary>
    public Task BackoffsEnd() => Database.Execute($"update {Schema}.link set due_at = now() where due_at > now()");

    /// <summary>The real workers instead of the stepped ones: they have loops of their own.</summary>
    public async Task StartWorkers()
    {
        await EndLoops();
        Backoff.EndsByItself = true;
        await Workers.StartAsync(default);
    }

    public async Task StopWorkers()
    {
        await Workers.StopAsync(default);
        Backoff.EndsByItself = false;
        BeginLoops();
    }

    void BeginLoops()
    {
        _stop = new CancellationTokenSource();
        _running = Task.WhenAll(Calls.Run(_stop.Token), Commits.Run(_stop.Token));
    }

    async Task EndLoops()
    {
        await _stop.CancelAsync();
        try
        {
            await _running;
        }
        catch (OperationCanceledException)
        {
            // That is how they end.
        }

        _stop.Dispose();
    }

    // ---- what came out ----

    public async Task<IReadOnlyList<CustomerReported>> Reports() =>
        [.. (await Outbox.All(Database)).OfType<CustomerReported>()];

    public async Task<T> Message<T>() => Assert.IsType<T>((await Outbox.All(Database))[^1]);

    public async Task<int> Messages() => (await Outbox.All(Database)).Count;

    public Task<long> WorkRows() => Database.Scalar<long>($"select count(*) from {Schema}.work");

    public Task<string> LedgerState(Guid commandId) =>
        Database.Scalar<string>($"select state from {Schema}.ledger where command_id = '{commandId}'");

    public Task<T> OfLink<T>(string column, string lane = "customer:c-1") =>
        Database.Scalar<T>($"select {column} from {Schema}.link where lane = '{lane}'");

    public async ValueTask DisposeAsync()
    {
        if (Workers.ExecuteTask is { IsCompleted: false })
            await StopWorkers();
        await EndLoops();
        Calls.Dispose();
        Telemetry.Dispose();
        await Database.Execute($"drop schema {Schema} cascade");
    }
}

/// <summary>Drives one round need by need, as a worker does, so that a test can stop it between any two.</summary>
sealed class SteppedWorker
{
    readonly Frame _frame;
    readonly Leased _lane;
    readonly IEnumerator<Need> _needs;

    public SteppedWorker(Frame frame, Leased lane)
    {
        (_frame, _lane) = (frame, lane);
        Round = new Round(lane, frame.Rules, () => 0);
        _needs = Round.Run().GetEnumerator();
    }

    public Round Round { get; }

    public Need Current => _needs.Current;

    /// <summary>Meets one need. False when there is none left, or the fence said no.</summary>
    public async Task<bool> Step()
    {
        if (!_needs.MoveNext())
            return false;
        if (_needs.Current is Need.Open { Entry: var entry })
        {
            if (!await _frame.Commits.Commit(new LaneWrite.Open(_lane.TakenBy, Before, Round.Link, entry)))
                return false;
            Round.Opened(entry);
        }
        else
        {
            await _frame.Calls.Do(Round, _needs.Current, default);
        }

        return true;
    }

    /// <summary>Meets needs up to and including the first of this kind.</summary>
    public async Task Through<T>()
        where T : Need
    {
        while (await Step())
        {
            if (Current is T)
                return;
        }

        Assert.Fail($"the round never needed {typeof(T).Name}");
    }

    /// <summary>Goes to the end, and commits. False when it was fenced, or waits for the vendor.</summary>
    public async Task<bool> Finish()
    {
        while (await Step())
        {
            // On to the end.
        }

        return await End();
    }

    /// <summary>Commits what a round that needs nothing more came to.</summary>
    public async Task<bool> End()
    {
        switch (Round.End)
        {
            case RoundEnd.Over over:
                return await _frame.Commits.Commit(
                    new LaneWrite.Finish(_lane.TakenBy, Before, Round.Link)
                    {
                        Ledger = over.Ledger,
                        Messages = over.Message is { } message ? [_frame.Outbox.Encode(message)] : [],
                        Done = [.. over.Done.Select(w => w.Id)],
                    }
                );
            case RoundEnd.Move move:
                return await _frame.Commits.Commit(
                    new LaneWrite.Finish(_lane.TakenBy, Before, _lane.Link)
                    {
                        Moved = [.. move.Work.Select(w => w.Id)],
                        MovedTo = move.To,
                    }
                );
            case RoundEnd.Wait wait:
                await _frame.Commits.Commit(
                    new LaneWrite.GiveBack(_lane.TakenBy, Before, TimeSpan.Zero, wait.Failure.Code, Counts: true)
                );
                return false;
            default:
                return false;
        }
    }

    Link Before => _lane.Link with { Version = Round.Link.Version };
}

sealed class TestHealth : IAdapterHealth
{
    public Dictionary<string, string> Reasons { get; } = [];

    public void Set(string code, string? detail)
    {
        lock (Reasons)
        {
            if (detail is null)
                Reasons.Remove(code);
            else
                Reasons[code] = detail;
        }
    }
}

sealed class TestMayWork : IMayWork
{
    bool _now = true;

    public int Asked { get; private set; }

    public bool Now
    {
        get
        {
            Asked++;
            return _now;
        }
        set => _now = value;
    }
}

/// <summary>
/// Where a test steps through the work, a back-off ends when <see cref="Frame.BackoffsEnd"/> says so: its first quarter of a
/// second is over before the next step on a machine that is busy. So a second of it is an hour here.
/// </summary>
sealed class TestBackoff(AdapterOptions options, Random random) : Backoff(options, random)
{
    public bool EndsByItself { get; set; }

    public override TimeSpan Delay(int attempts) => base.Delay(attempts) * (EndsByItself ? 1 : 3_600);
}
