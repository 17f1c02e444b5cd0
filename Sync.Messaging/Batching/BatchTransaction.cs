using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Hosting;
using Sync.Messaging.Offsets;
using Sync.Messaging.Outbox;
using Sync.Messaging.Sagas;
using Sync.Messaging.Scheduling;

namespace Sync.Messaging.Batching;

/// <summary>
/// The transaction of a batch. Its first statement advances the offsets: a process that lost a partition fails before it does
/// work. Locks are taken in one order everywhere: offsets, sagas or lanes, outbox.
/// </summary>
sealed class BatchTransaction(BatchStore store, string cluster, IReadOnlyList<OffsetAdvance> advances)
    : IAsyncDisposable
{
    readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly List<BatchRowsWriter> _written = [];
    NpgsqlConnection? _connection;
    NpgsqlTransaction? _transaction;

    /// <summary>Ends when the offsets are advanced; nothing may be asked before.</summary>
    public Task Opened => _opened.Task;

    public string Group => store.Group;

    public NpgsqlConnection Connection => _connection ?? throw new InvalidOperationException("the batch is not open");

    public NpgsqlTransaction Transaction =>
        _transaction ?? throw new InvalidOperationException("the batch is not open");

    public async Task Open(CancellationToken cancellationToken)
    {
        try
        {
            _connection = await store.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
            _transaction = await _connection.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
            await using var advance = new NpgsqlCommand(store.AdvanceSql, _connection, _transaction);
            advance.Parameters.Add(new() { Value = store.Group });
            advance.Parameters.Add(new() { Value = cluster });
            advance.Parameters.Add(new() { Value = advances.Select(a => a.Partition.Topic).ToArray() });
            advance.Parameters.Add(new() { Value = advances.Select(a => a.Partition.Partition.Value).ToArray() });
            advance.Parameters.Add(new() { Value = advances.Select(a => a.Epoch).ToArray() });
            advance.Parameters.Add(new() { Value = advances.Select(a => a.From).ToArray() });
            advance.Parameters.Add(new() { Value = advances.Select(a => a.To).ToArray() });
            await advance.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            _opened.TrySetResult();
        }
        catch (Exception e)
        {
            _opened.TrySetException(e);
            _ = _opened.Task.Exception;
            throw;
        }
    }

    /// <summary>One statement per saga table, in one round trip.</summary>
    public async Task<Dictionary<(SagaTable Table, Guid Id), SagaRow>> Load(
        IEnumerable<SagaEntry> entries,
        CancellationToken cancellationToken
    )
    {
        var groups = entries.GroupBy(e => e.Table, e => e.Id).ToList();
        await using var batch = new NpgsqlBatch(Connection, Transaction);
        foreach (var group in groups)
            batch.BatchCommands.Add(group.Key.Select([.. group.Distinct()]));

        var rows = new Dictionary<(SagaTable Table, Guid Id), SagaRow>();
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        foreach (var group in groups)
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                var row = group.Key.ReadRow(reader);
                rows.Add((group.Key, row.Id), row);
            }

            await reader.NextResultAsync(cancellationToken).ConfigureAwait(false);
        }

        return rows;
    }

    /// <summary>Everything that the batch staged, the outbox last: its ids are taken under the locks of the sagas' rows.</summary>
    public async Task Write(Batch batch, CancellationToken cancellationToken)
    {
        await WriteSagas(batch.Entries, cancellationToken).ConfigureAwait(false);
        foreach (var group in batch.Rows.GroupBy(r => r.GetType()))
        {
            var writer = store.Writers[group.Key];
            await writer.Write([.. group], Connection, cancellationToken).ConfigureAwait(false);
            _written.Add(writer);
        }

        await WriteDeadLetters(batch.DeadLetters, cancellationToken).ConfigureAwait(false);
        await WriteSchedule(batch.Schedule, cancellationToken).ConfigureAwait(false);
        var messages = batch.Messages;
        messages.AddRange(batch.DeadLetters.Select(d => d.Copy(store.DeadLetterTopic, store.Group, cluster)));
        if (messages.Count > 0)
            await store.Outbox.Write(Connection, messages, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Not cancelled by anything: only the server knows whether it happened.</summary>
    public async Task Commit()
    {
        await Transaction.CommitAsync(CancellationToken.None).ConfigureAwait(false);
        store.Outbox.Signal();
        _written.ForEach(writer => writer.Committed());
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            // Rolls back what is not committed. A connection that is broken, or still in use by a behaviour that did not
            // stop, cannot be rolled back: closing it ends its transaction.
            if (_transaction is not null)
                await _transaction.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is NpgsqlException or InvalidOperationException)
        {
            if (_connection is not null)
                NpgsqlConnection.ClearPool(_connection);
        }

        if (_connection is not null)
            await _connection.DisposeAsync().ConfigureAwait(false);
    }

    async Task WriteSagas(IEnumerable<SagaEntry> entries, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(Connection, Transaction);
        var expected = new List<(string Saga, SagaStatement Statement, int Rows)>();
        foreach (
            var group in entries
                .Select(e => (e.Table, Change: e.Statement()))
                .Where(e => e.Change.Statement is not SagaStatement.None)
                .GroupBy(e => (e.Table, e.Change.Statement), e => e.Change.Row)
                .OrderBy(g => g.Key.Statement)
        )
        {
            var rows = group.OrderBy(r => r.Id).ToList();
            batch.BatchCommands.Add(
                group.Key.Statement switch
                {
                    SagaStatement.Delete => group.Key.Table.Delete(rows),
                    SagaStatement.Insert => group.Key.Table.Insert(rows),
                    _ => group.Key.Table.Update(rows),
                }
            );
            expected.Add((group.Key.Table.SagaType.Name, group.Key.Statement, rows.Count));
        }

        if (expected.Count == 0)
            return;

        await batch.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        for (var i = 0; i < expected.Count; i++)
        {
            if (batch.BatchCommands[i].Rows is var written && written != (ulong)expected[i].Rows)
                throw new StaleSagaException(
                    expected[i].Saga,
                    expected[i].Statement.ToString(),
                    expected[i].Rows,
                    (int)written
                );
        }
    }

    async Task WriteDeadLetters(List<DeadLetter> letters, CancellationToken cancellationToken)
    {
        if (letters.Count == 0)
            return;

        await using var batch = new NpgsqlBatch(Connection, Transaction);
        foreach (var letter in letters)
            batch.BatchCommands.Add(letter.Insert(store.DeadLetterSql, store.Group, cluster));
        await batch.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Operations are folded per token, in order: the last one is what stays.</summary>
    async Task WriteSchedule(List<ScheduleOperation> operations, CancellationToken cancellationToken)
    {
        if (operations.Count == 0)
            return;

        var last = new Dictionary<Guid, ScheduleOperation>();
        foreach (var operation in operations)
            last[operation.Token] = operation;
        await using var batch = new NpgsqlBatch(Connection, Transaction);
        var cancelled = last.Values.Where(o => o.Message is null).Select(o => o.Token).ToArray();
        if (cancelled.Length > 0)
            batch.BatchCommands.Add(
                new(store.CancelSql)
                {
                    Parameters =
                    {
                        new() { Value = cancelled, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Uuid },
                    },
                }
            );
        var set = last.Values.Where(o => o.Message is not null).ToList();
        if (set.Count > 0)
            batch.BatchCommands.Add(
                new(store.ScheduleSql)
                {
                    Parameters =
                    {
                        new() { Value = set.Select(o => o.Token).ToArray() },
                        new() { Value = set.Select(o => o.Delay.TotalSeconds).ToArray() },
                        new() { Value = set.Select(o => o.Message!.Topic).ToArray() },
                        new() { Value = set.Select(o => o.Message!.Key).ToArray() },
                        new() { Value = set.Select(o => o.Message!.Headers.ToBytes()).ToArray() },
                        new() { Value = set.Select(o => o.Message!.Body).ToArray() },
                    },
                }
            );
        await batch.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>Statements and writers of an endpoint's batches, made once.</summary>
sealed class BatchStore
{
    public BatchStore(
        NpgsqlDataSource database,
        string schema,
        string group,
        string deadLetterTopic,
        IOutbox outbox,
        IReadOnlyDictionary<Type, BatchRowsWriter> writers
    )
    {
        var s = MessagingTables.CheckedSchema(schema);
        Database = database;
        Group = group;
        DeadLetterTopic = deadLetterTopic;
        Outbox = outbox;
        Writers = writers;
        AdvanceSql = $"select {s}.advance_offsets($1, $2, $3, $4, $5, $6, $7)";
        CancelSql = $"delete from {s}.schedule where token = any($1)";
        ScheduleSql =
            $"insert into {s}.schedule (token, due_at, topic, key, headers, body) "
            + "select w.token, now() + make_interval(secs => w.delay), w.topic, w.key, w.headers, w.body "
            + "from unnest($1::uuid[], $2::float8[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[]) "
            + "w(token, delay, topic, key, headers, body)";
        DeadLetterSql =
            $"insert into {s}.dead_letter (id, direction, consumer_group, cluster_id, topic, partition, \"offset\", "
            + "key, value, headers, message_type, reason_code, reason, attempts) "
            + "values ($1, 'in', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict (id) do nothing";
    }

    public NpgsqlDataSource Database { get; }

    public string Group { get; }

    public string DeadLetterTopic { get; }

    public IOutbox Outbox { get; }

    public IReadOnlyDictionary<Type, BatchRowsWriter> Writers { get; }

    public string AdvanceSql { get; }

    public string CancelSql { get; }

    public string ScheduleSql { get; }

    public string DeadLetterSql { get; }
}
