using MassTransit;
using MassTransit.Configuration;
using MassTransit.Context;
using MassTransit.Saga;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Sync.Messaging.Batching;

namespace Sync.Messaging.Sagas;

public static class SagaRepositoryRegistration
{
    /// <summary>
    /// Keeps the saga in its table of the context's model. It works on an endpoint of the Kafka rider only: there it loads and
    /// writes in the transaction of the batch.
    /// </summary>
    /// <remarks>
    /// <c>InsertOnInitial</c> has no meaning here: a new instance is inserted with the batch, and whoever was first wins.
    /// </remarks>
    public static ISagaRegistrationConfigurator<TSaga> EntityFrameworkRepository<TSaga, TDbContext>(
        this ISagaRegistrationConfigurator<TSaga> configurator
    )
        where TSaga : class, ISaga
        where TDbContext : DbContext
    {
        configurator.Repository(services =>
        {
            services.TryAddSingleton(p => new SagaStorage<TSaga>(
                SagaTable.From(Model<TDbContext>(p), typeof(TSaga)),
                () => p.GetRequiredService<IDbContextFactory<TDbContext>>().CreateDbContext()
            ));
            services.RegisterSagaRepository<
                TSaga,
                Batch,
                SagaConsumeContextFactory<Batch, TSaga>,
                BatchSagaRepositoryContextFactory<TSaga>
            >();
        });
        return configurator;
    }

    static Microsoft.EntityFrameworkCore.Metadata.IModel Model<TDbContext>(IServiceProvider services)
        where TDbContext : DbContext
    {
        using var context = services.GetRequiredService<IDbContextFactory<TDbContext>>().CreateDbContext();
        return context.Model;
    }
}

/// <summary>Where a saga is kept. The context only translates queries.</summary>
sealed record SagaStorage<TSaga>(SagaTable Table, Func<DbContext> CreateContext)
    where TSaga : class, ISaga;

sealed class BatchSagaRepositoryContextFactory<TSaga>(
    SagaStorage<TSaga> storage,
    ISagaConsumeContextFactory<Batch, TSaga> factory
) : ISagaRepositoryContextFactory<TSaga>
    where TSaga : class, ISaga
{
    public void Probe(ProbeContext context) => context.Add("persistence", "batch");

    /// <summary>Ends when the behaviour does. The commit is awaited where the message leaves the pipe, not here.</summary>
    public Task Send<T>(ConsumeContext<T> context, IPipe<SagaRepositoryContext<TSaga, T>> next)
        where T : class =>
        next.Send(new BatchSagaRepositoryContext<TSaga, T>(context, Buffer(context), storage.Table, factory));

    public async Task SendQuery<T>(
        ConsumeContext<T> context,
        ISagaQuery<TSaga> query,
        IPipe<SagaRepositoryQueryContext<TSaga, T>> next
    )
        where T : class
    {
        var buffer = Buffer(context);
        var ids = await buffer.Batch.Query(
            buffer.Slot,
            async (transaction, cancellationToken) =>
            {
                await using var db = storage.CreateContext();
                db.Database.SetDbConnection(transaction.Connection, contextOwnsConnection: false);
                await db.Database.UseTransactionAsync(transaction.Transaction, cancellationToken);
                return await db.Set<TSaga>()
                    .AsNoTracking()
                    .Where(query.FilterExpression)
                    .Select(s => s.CorrelationId)
                    .ToListAsync(cancellationToken);
            }
        );
        var repository = new BatchSagaRepositoryContext<TSaga, T>(context, buffer, storage.Table, factory);
        await next.Send(new DefaultSagaRepositoryQueryContext<TSaga, T>(repository, ids));
    }

    static MessageBuffer Buffer(ConsumeContext context) =>
        context.TryGetPayload(out MessageBuffer? buffer)
            ? buffer
            : throw new InvalidOperationException(
                $"{typeof(TSaga).Name} is kept by the Kafka rider's batches; configure it on a TopicEndpoint"
            );
}

/// <summary>One message's view of the saga: loaded in the batch's next round, staged when the message is.</summary>
sealed class BatchSagaRepositoryContext<TSaga, T>(
    ConsumeContext<T> context,
    MessageBuffer buffer,
    SagaTable table,
    ISagaConsumeContextFactory<Batch, TSaga> factory
) : ConsumeContextScope<T>(context), SagaRepositoryContext<TSaga, T>
    where TSaga : class, ISaga
    where T : class
{
    readonly ConsumeContext<T> _context = context;
    readonly Dictionary<Guid, SagaEntry> _entries = [];

    public async Task<SagaConsumeContext<TSaga, T>> Load(Guid correlationId)
    {
        var entry = await Entry(correlationId);
        // MassTransit's contract: null where there is no instance; then it asks the missing-instance policy.
        return entry.Take() is TSaga saga
            ? await factory.CreateSagaConsumeContext(buffer.Batch, _context, saga, SagaConsumeContextMode.Load)
            : null!;
    }

    public async Task<SagaConsumeContext<TSaga, T>> Add(TSaga instance)
    {
        await Entry(instance.CorrelationId);
        return await factory.CreateSagaConsumeContext(buffer.Batch, _context, instance, SagaConsumeContextMode.Add);
    }

    /// <summary>Answers that nothing was inserted: the instance comes from the batch's load, or is added.</summary>
    public Task<SagaConsumeContext<TSaga, T>> Insert(TSaga instance) =>
        Task.FromResult<SagaConsumeContext<TSaga, T>>(null!);

    public Task Save(SagaConsumeContext<TSaga> context) => Keep(context);

    public Task Update(SagaConsumeContext<TSaga> context) => Keep(context);

    public Task Delete(SagaConsumeContext<TSaga> context) => Change(context, SagaChange.Gone);

    public Task Discard(SagaConsumeContext<TSaga> context) => Change(context, SagaChange.Gone);

    public Task Undo(SagaConsumeContext<TSaga> context) => Change(context, SagaChange.None);

    public Task<SagaConsumeContext<TSaga, TMessage>> CreateSagaConsumeContext<TMessage>(
        ConsumeContext<TMessage> consumeContext,
        TSaga instance,
        SagaConsumeContextMode mode
    )
        where TMessage : class => factory.CreateSagaConsumeContext(buffer.Batch, consumeContext, instance, mode);

    async Task<SagaEntry> Entry(Guid id)
    {
        if (!_entries.TryGetValue(id, out var entry))
            _entries.Add(id, entry = await buffer.Batch.Load(buffer, table, id));
        return entry;
    }

    Task Keep(SagaConsumeContext<TSaga> context)
    {
        _entries[context.Saga.CorrelationId].Add(context.Saga);
        return Task.CompletedTask;
    }

    Task Change(SagaConsumeContext<TSaga> context, SagaChange change)
    {
        _entries[context.Saga.CorrelationId].Change = change;
        return Task.CompletedTask;
    }
}
