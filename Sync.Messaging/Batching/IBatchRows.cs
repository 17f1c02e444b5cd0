using Npgsql;

namespace Sync.Messaging.Batching;

/// <summary>
/// Append-only rows that a consumer or a saga writes in the transaction of its batch. Reach it with
/// <c>context.Rows()</c>; what is added by a message that fails is dropped with it.
/// </summary>
public interface IBatchRows
{
    /// <summary>Takes the row; its <see cref="IBatchRowWriter{TRow}"/> writes it before the commit.</summary>
    void Add<TRow>(TRow row)
        where TRow : class;
}

/// <summary>Writes all rows of one type of a batch, in staging order, in the transaction that advances the offsets.</summary>
/// <remarks>A statement that may wait for several rows locks them in one fixed order.</remarks>
public interface IBatchRowWriter<TRow>
    where TRow : class
{
    /// <summary>The connection has the batch's transaction open.</summary>
    Task Write(IReadOnlyList<TRow> rows, NpgsqlConnection connection, CancellationToken cancellationToken);

    /// <summary>
    /// After the commit of a batch that wrote some: wakes whoever waits for such rows. Where the answer to a commit was lost
    /// it is not called, so it promises nothing.
    /// </summary>
    void Committed() { }
}
