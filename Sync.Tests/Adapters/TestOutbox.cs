using System.Text;
using System.Text.Json;
using Npgsql;
using Sync.Contracts;
using Sync.Messaging.Outbox;
using Sync.Messaging.Wire;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters;

/// <summary>An outbox of one table, read back by the test: what stands in it was committed with the lane.</summary>
sealed class TestOutbox : IOutbox
{
    readonly MessageCatalog _catalog = new();
    readonly MessageEncoder _encoder;

    readonly string _table;

    public TestOutbox(string schema)
    {
        _table = $"{schema}.test_outbox";
        foreach (var m in Wire.All)
            _catalog.Add(new MessageKind(m.Type, m.Json, m.Topic, m.Key, m.Sequence, m.Problem));
        _encoder = new MessageEncoder(_catalog, "sync/test", TimeProvider.System);
    }

    public static string Table(string schema) =>
        $"create table {schema}.test_outbox (id bigint generated always as identity primary key, type text, body text, traceparent text)";

    public OutgoingMessage Encode(object message, Guid? causationId = null) => _encoder.Encode(message, causationId);

    public NpgsqlBatchCommand Insert(IReadOnlyList<OutgoingMessage> messages) =>
        new(
            $"""
            insert into {_table} (type, body, traceparent)
            select u.type, u.body, u.traceparent from unnest($1, $2, $3) with ordinality u(type, body, traceparent, n) order by n
            """
        )
        {
            Parameters =
            {
                new() { Value = messages.Select(m => m.Headers.Text(CloudEventNames.Type)!).ToArray() },
                new() { Value = messages.Select(m => Encoding.UTF8.GetString(m.Body)).ToArray() },
                new() { Value = messages.Select(m => m.Headers.Text(CloudEventNames.TraceParent)).ToArray() },
            },
        };

    public void Signal() { }

    public async Task<IReadOnlyList<object>> All(TestPostgres database)
    {
        List<object> messages = [];
        await using var command = database.DataSource.CreateCommand($"select type, body from {_table} order by id");
        await using var rows = await command.ExecuteReaderAsync();
        while (await rows.ReadAsync())
            messages.Add(JsonSerializer.Deserialize(rows.GetString(1), _catalog.Find(rows.GetString(0))!.Json)!);
        return messages;
    }
}
