using Sync.Adapter.Links;
using Sync.Contracts.Systems;
using Sync.Tests.Adapters;

namespace Sync.Tests.Simulation;

/// <summary>The rules of lanes, held by the SQL and by the store in memory alike: what the simulation proves rests on it.</summary>
public abstract class LinkStoreSuite : IAsyncLifetime
{
    static readonly CancellationToken None = CancellationToken.None;
    static readonly string Lane = Lanes.Customer(Frame.Customer);
    int _takes;

    /// <summary>One of the two, with hands on its clock.</summary>
    internal interface ITables : IAsyncDisposable
    {
        ILinkStore Store { get; }
        Task TakeIn(PushCustomer command);
        Task TakeIn(Hint hint);
        Task LeasesRunOut();
        Task BackoffsEnd();
        Task Restore();
    }

    internal abstract Task<ITables> Begin();

    ITables Tables { get; set; } = null!;

    public async ValueTask InitializeAsync() => Tables = await Begin();

    public async ValueTask DisposeAsync()
    {
        await Tables.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    async Task<Leased?> Take() => (await Tables.Store.Take($"worker/{++_takes}", 1, None)) is [var lane] ? lane : null;

    async Task<bool> Commit(LaneWrite write) => (await Tables.Store.Commit([write], None)).Fenced.Count == 0;

    static LaneWrite.Finish Finish(Leased lane, Link? after = null, params LedgerEntry[] ledger) =>
        new(lane.TakenBy, lane.Link, after ?? lane.Link) { Done = [.. lane.Work.Select(w => w.Id)], Ledger = ledger };

    static PushCustomer Command(string customer = Frame.Customer) =>
        Frame.Command(Operation.Update, Frame.Values(("name", "Ada")), customer: customer);

    static LedgerEntry Entry(PushCustomer command, LedgerState state, DateTimeOffset? suspectUntil = null) =>
        new()
        {
            CommandId = command.CommandId,
            Lane = Lanes.Customer(command.CustomerId),
            Generation = 0,
            Write = command.Write,
            State = state,
            SuspectUntil = suspectUntil,
        };

    [Fact]
    public async Task A_command_wakes_its_lane_once_and_a_lease_keeps_others_off()
    {
        var command = Command();
        await Tables.TakeIn(command);
        await Tables.TakeIn(command);

        var lane = Assert.IsType<Leased>(await Take());
        Assert.Equal((Lane, 0L), (lane.Link.Lane, lane.Link.Version));
        Assert.Equal(command.CommandId, Assert.Single(lane.Work).Id);
        Assert.Null(await Take());

        await Tables.LeasesRunOut();
        Assert.NotNull(await Take());
    }

    [Fact]
    public async Task The_end_of_a_round_raises_the_version_and_fences_off_who_was_before()
    {
        await Tables.TakeIn(Command());
        var slow = (await Take())!;
        await Tables.LeasesRunOut();
        var next = (await Take())!;

        Assert.True(
            await Commit(Finish(next, next.Link with { ExternalId = "v1", Last = Frame.Values(("name", "Ada")) }))
        );
        Assert.False(await Commit(Finish(slow)));
        Assert.Null(await Take());

        await Tables.TakeIn(new Hint { ExternalId = "v1", Kind = HintKind.Look });
        var after = (await Take())!;
        Assert.Equal((Lane, 1L, "v1"), (after.Link.Lane, after.Link.Version, after.Link.ExternalId));
        Assert.Equal("Ada", after.Link.Last!["name"]);
        Assert.Equal(Lane, after.LaneOf["v1"]);
    }

    [Fact]
    public async Task A_fenced_round_leaves_its_work_and_gives_back_only_its_own_lease()
    {
        await Tables.TakeIn(Command());
        var slow = (await Take())!;
        await Tables.LeasesRunOut();
        var next = (await Take())!;
        Assert.True(
            await Commit(new LaneWrite.Open(next.TakenBy, next.Link, next.Link, Entry(Command(), LedgerState.Open)))
        );

        Assert.False(await Commit(Finish(slow)));

        Assert.Null(await Take());
        await Tables.LeasesRunOut();
        Assert.Single((await Take())!.Work);
    }

    [Fact]
    public async Task An_open_entry_is_there_for_the_next_worker_and_a_closed_one_keeps_no_value()
    {
        var (open, done, suspect) = (Command(), Command(), Command());
        await Tables.TakeIn(open);
        await Tables.TakeIn(done);
        await Tables.TakeIn(suspect);
        var lane = (await Take())!;
        Assert.True(
            await Commit(new LaneWrite.Open(lane.TakenBy, lane.Link, lane.Link, Entry(open, LedgerState.Open)))
        );
        var opened = lane.Link with { Version = 1 };
        Assert.True(
            await Commit(
                new LaneWrite.Finish(lane.TakenBy, opened, opened)
                {
                    Ledger =
                    [
                        Entry(done, LedgerState.Done),
                        Entry(suspect, LedgerState.Abandoned, lane.Now.AddHours(1)),
                    ],
                }
            )
        );

        var next = (await Take())!;
        Assert.Equal(2, next.Link.Version);
        Assert.Equal("Ada", next.Ledger[open.CommandId].Write!["name"]);
        Assert.True(next.Ledger[open.CommandId].IsOpen);
        Assert.Null(next.Ledger[done.CommandId].Write);
        Assert.Equal(LedgerState.Done, next.Ledger[done.CommandId].State);
        Assert.Equal("Ada", next.Ledger[suspect.CommandId].Write!["name"]);
    }

    [Fact]
    public async Task An_erased_customer_leaves_the_ids_of_its_commands_and_nothing_else()
    {
        var (open, late, hint) = (Command(), Command(), new Hint { ExternalId = "v1", Kind = HintKind.Look });
        await Tables.TakeIn(open);
        await Tables.TakeIn(late);
        var lane = (await Take())!;
        Assert.True(
            await Commit(new LaneWrite.Open(lane.TakenBy, lane.Link, lane.Link, Entry(open, LedgerState.Open)))
        );
        var opened = lane.Link with { Version = 1 };

        Assert.True(
            await Commit(
                new LaneWrite.Finish(lane.TakenBy, opened, opened with { Forget = true })
                {
                    Ledger = [Entry(late, LedgerState.Abandoned, lane.Now.AddHours(1))],
                }
            )
        );

        await Tables.TakeIn(hint with { CustomerId = Frame.Customer });
        var next = (await Take())!;
        foreach (var entry in new[] { open, late }.Select(c => next.Ledger[c.CommandId]))
            Assert.Equal(
                (null, null, 0, LedgerState.Abandoned, (DateTimeOffset?)null),
                (entry.Write, entry.Expect, entry.Hashes.Count, entry.State, entry.SuspectUntil)
            );
    }

    [Fact]
    public async Task A_lane_given_back_waits_its_time_and_new_work_does_not_shorten_it()
    {
        await Tables.TakeIn(Command());
        var lane = (await Take())!;
        var back = new LaneWrite.GiveBack(lane.TakenBy, lane.Link, TimeSpan.FromMinutes(1), "timeout", Counts: true);
        Assert.True(await Commit(back));
        await Tables.TakeIn(Command());
        Assert.Null(await Take());

        await Tables.BackoffsEnd();
        var again = (await Take())!;
        Assert.Equal((1, 0L, 2), (again.Link.Attempts, again.Link.Version, again.Work.Count));
    }

    [Fact]
    public async Task Work_that_came_meanwhile_keeps_the_lane_awake()
    {
        await Tables.TakeIn(Command());
        var lane = (await Take())!;
        var late = Command();
        await Tables.TakeIn(late);

        Assert.True(await Commit(Finish(lane)));

        Assert.Equal(late.CommandId, Assert.Single((await Take())!.Work).Id);
    }

    [Fact]
    public async Task Moved_work_wakes_the_lane_that_it_belongs_to()
    {
        await Tables.TakeIn(new Hint { ExternalId = "v1", Kind = HintKind.Look });
        var stranger = (await Take())!;
        Assert.Equal(Lanes.Object("v1"), stranger.Link.Lane);

        Assert.True(
            await Commit(
                new LaneWrite.Finish(stranger.TakenBy, stranger.Link, stranger.Link)
                {
                    Moved = [.. stranger.Work.Select(w => w.Id)],
                    MovedTo = Lane,
                }
            )
        );

        var owner = (await Take())!;
        Assert.Equal((Lane, 0L), (owner.Link.Lane, owner.Link.Version));
        Assert.Equal("v1", Assert.Single(owner.Work).Hint!.ExternalId);
        Assert.Null(await Take());
    }

    [Fact]
    public async Task One_object_is_never_in_two_lanes()
    {
        await Tables.TakeIn(Command());
        await Tables.TakeIn(Command("c-2"));
        var (one, two) = ((await Take())!, (await Take())!);
        Assert.True(await Commit(Finish(one, one.Link with { ExternalId = "v1" })));

        await Assert.ThrowsAnyAsync<Exception>(() => Commit(Finish(two, two.Link with { ExternalId = "v1" })));

        await Tables.LeasesRunOut();
        Assert.Equal((two.Link.Lane, 0L), ((await Take()) is { } left ? (left.Link.Lane, left.Link.Version) : default));
    }

    [Fact]
    public async Task After_a_restore_every_lane_and_every_new_one_is_numbered_higher_and_in_doubt()
    {
        var stamp = Guid.NewGuid();
        await Tables.TakeIn(Command());
        var before = (await Take())!;
        Assert.Null(before.Link.RestoredAt);
        await Commit(Finish(before, before.Link with { Last = Frame.Values(("name", "Ada")), Stamp = stamp }));

        await Tables.Restore();
        await Tables.TakeIn(Command());
        var after = (await Take())!;
        await Tables.TakeIn(Command("c-2"));
        var begun = (await Take())!;

        Assert.Equal((1_000_000_001L, stamp, true), (after.Link.Version, after.Link.Stamp, after.Link.Last is null));
        Assert.Equal(1_000_000_000L, begun.Link.Version);
        Assert.NotNull(after.Link.RestoredAt);
        Assert.Equal(after.Link.RestoredAt, begun.Link.RestoredAt);

        await Commit(Finish(after, after.Link with { RestoredAt = null }));
        await Tables.TakeIn(Command());
        Assert.Null((await Take())!.Link.RestoredAt);
    }

    [Fact]
    public async Task A_lane_that_nobody_took_between_two_restores_is_numbered_above_both()
    {
        await Tables.TakeIn(Command());
        await Commit(Finish((await Take())!));
        await Tables.Restore();
        await Tables.TakeIn(Command("c-2"));
        await Tables.Restore();

        await Tables.TakeIn(Command());
        await Tables.TakeIn(Command("c-3"));
        Dictionary<string, Link> lanes = [];
        while (await Take() is { } lane)
            lanes.Add(lane.Link.Lane, lane.Link);

        Assert.Equal(
            [2_000_000_001L, 2_000_000_000L, 2_000_000_000L],
            new[] { Frame.Customer, "c-2", "c-3" }.Select(c => lanes[Lanes.Customer(c)].Version)
        );
        Assert.NotNull(Assert.Single(lanes.Values.Select(l => l.RestoredAt).Distinct()));
    }

    [Fact]
    public async Task A_round_that_began_before_the_restore_was_noticed_is_fenced()
    {
        await Tables.TakeIn(Command());
        var before = (await Take())!;
        await Tables.Restore();

        Assert.False(
            await Commit(
                new LaneWrite.Open(before.TakenBy, before.Link, before.Link, Entry(Command(), LedgerState.Open))
            )
        );
        Assert.False(await Commit(Finish(before)));

        var after = (await Take())!;
        Assert.Equal((1_000_000_000L, true), (after.Link.Version, after.Link.RestoredAt is not null));
        Assert.Single(after.Work);
        Assert.True(await Commit(Finish(after)));
    }
}

/// <summary>The SQL.</summary>
public sealed class SqlLinkStoreTests : LinkStoreSuite
{
    internal override async Task<ITables> Begin() => new Tables(await Frame.Start());

    sealed class Tables(Frame frame) : ITables
    {
        public ILinkStore Store => frame.Store;

        public Task TakeIn(PushCustomer command) => frame.TakeIn(command);

        public Task TakeIn(Hint hint) => frame.TakeIn(hint);

        public Task LeasesRunOut() => frame.LeasesRunOut();

        public Task BackoffsEnd() => frame.BackoffsEnd();

        public Task Restore() => frame.Store.RaiseVersions(default);

        public ValueTask DisposeAsync() => frame.DisposeAsync();
    }
}

/// <summary>The store in memory.</summary>
public sealed class MemoryLinkStoreTests : LinkStoreSuite
{
    internal override Task<ITables> Begin() => Task.FromResult<ITables>(new Tables());

    sealed class Tables : ITables
    {
        readonly VirtualClock _clock = new();
        readonly MemoryLinkStore _store;

        public Tables() => _store = new(() => _clock.Now, _ => { });

        public ILinkStore Store => _store;

        public Task TakeIn(PushCustomer command) => Done(() => _store.TakeIn(command));

        public Task TakeIn(Hint hint) => Done(() => _store.TakeIn(Guid.NewGuid(), hint));

        public Task LeasesRunOut() => Done(() => _clock.Advance(TimeSpan.FromSeconds(61)));

        public Task BackoffsEnd() => Done(() => _clock.Advance(TimeSpan.FromMinutes(10)));

        public Task Restore() => Done(_store.Restored);

        public ValueTask DisposeAsync() => default;

        static Task Done(Action act)
        {
            act();
            return Task.CompletedTask;
        }
    }
}
