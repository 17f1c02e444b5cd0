using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Sync.Messaging.Batching;

public static class BatchRowsServices
{
    /// <summary>Makes rows of a type writable in batches. The writer is a singleton.</summary>
    public static IServiceCollection AddBatchRows<TRow, TWriter>(this IServiceCollection services)
        where TRow : class
        where TWriter : class, IBatchRowWriter<TRow>
    {
        services.AddSingleton<IBatchRowWriter<TRow>, TWriter>();
        services.AddSingleton<BatchRowsWriter, BatchRowsWriter<TRow>>();
        return services;
    }
}

/// <summary>A registered writer without its type.</summary>
abstract class BatchRowsWriter
{
    public abstract Type RowType { get; }

    public abstract Task Write(
        IReadOnlyList<object> rows,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    );

    public abstract void Committed();
}

sealed class BatchRowsWriter<TRow>(IBatchRowWriter<TRow> writer) : BatchRowsWriter
    where TRow : class
{
    public override Type RowType => typeof(TRow);

    public override Task Write(
        IReadOnlyList<object> rows,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    ) => writer.Write([.. rows.Cast<TRow>()], connection, cancellationToken);

    public override void Committed() => writer.Committed();
}
