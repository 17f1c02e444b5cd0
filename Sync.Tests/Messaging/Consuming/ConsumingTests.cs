namespace Sync.Tests.Messaging.Consuming;

public sealed class ConsumingTests
{
    [Fact]
    public async Task Offsets_sagas_rows_and_messages_commit_together()
    {
        await using var stage = await CountingStage.Set();
        await using var process = await stage.Start();
        for (var value = 1; value <= 3; value++)
            await stage.Send(CountingStage.Add("a", value));

        await stage.Until(s => s.Effects(), 3, "effects");
        Assert.Equal(
            [(3L, 3L)],
            await stage.Query(
                $"select count, last from {CountingDb.Schema}.counter",
                r => (r.GetInt64(0), r.GetInt64(1))
            )
        );
        Assert.Equal(
            3,
            await stage.Database.Scalar<long>(
                $"select sum(next_offset)::bigint from {CountingDb.Schema}.consumer_offset where topic = 'steps'"
            )
        );
    }
}
