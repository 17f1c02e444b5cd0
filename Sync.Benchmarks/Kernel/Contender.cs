using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Sagas;
using Sync.Messaging.Wire;

namespace Sync.Benchmarks.Kernel;

/// <summary>
/// One way to do the same work: an event changes a row, leaves an effect and sends two messages. Each runs in a process of its
/// own, this very program, so that its processor time is its own.
/// </summary>
enum Contender
{
    /// <summary>This kernel: a saga, hundreds of messages in a transaction.</summary>
    Kernel,

    /// <summary>The same with a transaction for every message.</summary>
    KernelSingle,

    /// <summary>What is written in an afternoon: consume, write, produce, next. Not transactional.</summary>
    Naive,

    /// <summary>Written by hand for this one purpose, offsets and outbox in the transaction of the batch: what MassTransit costs.</summary>
    HandWritten,
}

static class Contenders
{
    /// <summary>Set in the environment of a child.</summary>
    public const string Variable = "SYNC_BENCH_CONTENDER";

    public const string Group = "sync-bench";

    public static string Title(this Contender contender) =>
        contender switch
        {
            Contender.Kernel => "(a) this kernel",
            Contender.KernelSingle => "(b) one transaction a message",
            Contender.Naive => "(c) naive, not transactional",
            Contender.HandWritten => "(d) hand-written batches",
            _ => throw new ArgumentOutOfRangeException(nameof(contender)),
        };

    /// <summary>What this process is to be; null when it is nobody's child.</summary>
    public static Contender? Asked() =>
        Environment.GetEnvironmentVariable(Variable) is { } name ? Enum.Parse<Contender>(name) : null;

    public static Task<int> Run(Contender contender)
    {
        // The same frame for all: settings, logs, metrics, traces, management port.
        var builder = SyncProcess.CreateBuilder([], new ProcessIdentity("bench", TallyDb.Schema, Group));
        switch (contender)
        {
            case Contender.Kernel:
                AddKernel(builder);
                break;
            case Contender.KernelSingle:
                builder.Services.AddSingleton(new BatchSize(1));
                AddKernel(builder);
                break;
            case Contender.Naive:
                AddByHand(builder);
                builder.Services.AddHostedService<NaiveConsumer>();
                break;
            case Contender.HandWritten:
                AddByHand(builder);
                builder.Services.AddHostedService<HandWrittenConsumer>();
                break;
        }

        return SyncProcess.Run(builder, []);
    }

    static void AddKernel(HostApplicationBuilder builder)
    {
        builder.Services.AddMessaging<TallyDb>(BenchJson.Fill);
        builder.Services.AddBatchRows<Effect, EffectWriter>();
        builder.Services.AddMassTransit(x =>
        {
            x.DisableUsageTelemetry();
            x.UsingInMemory();
            x.AddRider(r =>
            {
                r.AddSagaStateMachine<TallyMachine, Tally>().EntityFrameworkRepository<Tally, TallyDb>();
                r.UsingKafka(
                    (context, k) => k.TopicEndpoint(Group, [BenchJson.Events], e => e.ConfigureSaga<Tally>(context))
                );
            });
        });
    }

    /// <summary>The same clients' settings, the same bytes on the wire, the same connection settings.</summary>
    static void AddByHand(HostApplicationBuilder builder)
    {
        builder.Services.AddSettings<KafkaOptions>(KafkaOptions.Section);
        builder.Services.AddSettings<DatabaseOptions>(DatabaseOptions.Section);
        builder.Services.AddSingleton<KafkaClients>();
        builder.Services.AddSingleton(new MessageEncoder(BenchJson.Catalog(), "sync/bench", TimeProvider.System));
        builder.Services.AddSingleton(p =>
            NpgsqlDataSource.Create(
                p.GetRequiredService<IOptions<DatabaseOptions>>().Value.Connection("sync/bench").ConnectionString
            )
        );
    }
}
