using Npgsql;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Offsets;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>Two owners of one partition, in SQL only.</summary>
public sealed class FencingTests
{
    const string S = "fencing";

    [Fact]
    public async Task A_claim_waits_for_the_owners_open_transaction_and_reads_its_result()
    {
        await using var database = await Tables();
        var first = await Claim(database, "a", 0);
        await using var owner = await database.DataSource.OpenConnectionAsync();
        await using var transaction = await owner.BeginTransactionAsync();
        await Advance(owner, [0], [first.Epoch], [0], [10]);

        var claiming = Claim(database, "b", 0);
        await Eventually.Is(
            async () =>
                await database.Scalar<long>("select count(*) from pg_stat_activity where wait_event_type = 'Lock'") > 0,
            "the claim waits"
        );
        Assert.False(claiming.IsCompleted);
        await transaction.CommitAsync();

        Assert.Equal(new Claimed(10, first.Epoch + 1, IsNew: false), await claiming);
    }

    [Fact]
    public async Task Whoever_was_claimed_from_moves_nothing()
    {
        await using var database = await Tables();
        var first = await Claim(database, "a", 0);
        await Claim(database, "b", 0);

        Assert.Equal("SY001", await Fault(database, [0], [first.Epoch], [0], [10]));
        Assert.Equal(0, await Next(database, 0));
    }

    [Fact]
    public async Task One_fenced_partition_of_two_fails_both()
    {
        await using var database = await Tables();
        var zero = await Claim(database, "a", 0);
        var one = await Claim(database, "a", 1);
        await Claim(database, "b", 1);

        Assert.Equal("SY001", await Fault(database, [0, 1], [zero.Epoch, one.Epoch], [0, 0], [5, 5]));
        Assert.Equal(0, await Next(database, 0));
    }

    [Fact]
    public async Task Whoever_commits_first_wins_and_the_other_moves_nothing()
    {
        await using var database = await Tables();
        var claim = await Claim(database, "a", 0);

        Assert.Null(await Fault(database, [0], [claim.Epoch], [0], [5]));
        Assert.Equal("SY001", await Fault(database, [0], [claim.Epoch], [0], [5]));
        Assert.Equal(5, await Next(database, 0));
    }

    [Fact]
    public async Task A_fenced_batch_fails_before_it_does_any_work()
    {
        await using var database = await Tables();
        var claim = await Claim(database, "a", 0);
        await Claim(database, "b", 0);
        var store = new BatchStore(
            database.DataSource,
            S,
            "g",
            "dead",
            outbox: null!,
            new Dictionary<Type, BatchRowsWriter>()
        );

        await using var transaction = new BatchTransaction(
            store,
            "c",
            [new OffsetAdvance(new("t", 0), claim.Epoch, 0, 5)]
        );

        var fenced = await Assert.ThrowsAsync<PostgresException>(() => transaction.Open(CancellationToken.None));
        Assert.Equal(FailureClass.Fenced, Failures.Classify(fenced, committing: false));
    }

    static async Task<TestPostgres> Tables()
    {
        var database = await TestPostgres.Create();
        foreach (var statement in MessagingTables.Create(S))
            await database.Execute(statement);
        return database;
    }

    static async Task<Claimed> Claim(TestPostgres database, string owner, int partition)
    {
        await using var command = database.DataSource.CreateCommand(
            $"select next_offset, epoch, is_new from {S}.claim_partitions('g', 'c', array['t'], array[{partition}], array[0::bigint], '{owner}')"
        );
        await using var reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        return new(reader.GetInt64(0), reader.GetInt64(1), reader.GetBoolean(2));
    }

    static async Task Advance(NpgsqlConnection connection, int[] partitions, long[] epochs, long[] from, long[] to)
    {
        await using var command = new NpgsqlCommand(
            $"select {S}.advance_offsets('g', 'c', $1, $2, $3, $4, $5)",
            connection
        );
        command.Parameters.Add(new() { Value = partitions.Select(_ => "t").ToArray() });
        command.Parameters.Add(new() { Value = partitions });
        command.Parameters.Add(new() { Value = epochs });
        command.Parameters.Add(new() { Value = from });
        command.Parameters.Add(new() { Value = to });
        await command.ExecuteNonQueryAsync();
    }

    static async Task<string?> Fault(TestPostgres database, int[] partitions, long[] epochs, long[] from, long[] to)
    {
        await using var connection = await database.DataSource.OpenConnectionAsync();
        try
        {
            await Advance(connection, partitions, epochs, from, to);
            return null;
        }
        catch (PostgresException e)
        {
            return e.SqlState;
        }
    }

    static Task<long> Next(TestPostgres database, int partition) =>
        database.Scalar<long>($"select next_offset from {S}.consumer_offset where partition = {partition}");

    sealed record Claimed(long NextOffset, long Epoch, bool IsNew);
}
