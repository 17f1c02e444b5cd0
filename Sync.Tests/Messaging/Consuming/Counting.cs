using System.Text.Json;
using System.Text.Json.Serialization;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Wire;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>Something happened to a counter. Its saga listens to this base type only.</summary>
public abstract record Step
{
    public required string Key { get; init; }

    /// <summary>Of the saga; several keys may name one.</summary>
    public required Guid Counter { get; init; }

    public required long Value { get; init; }

    /// <summary>What the behaviour is asked to do wrong, or besides.</summary>
    public string? Ask { get; init; }

    /// <summary>Ballast, or text that a test wants to see stored.</summary>
    public string? Text { get; init; }
}

public sealed record Added : Step;

public sealed record Corrected : Step;

/// <summary>Ends the counter: its row goes.</summary>
public sealed record Closed
{
    public required string Key { get; init; }
    public required Guid Counter { get; init; }
}

/// <summary>Finds its counters by a query.</summary>
public sealed record Renamed
{
    public required string Key { get; init; }
    public required string Name { get; init; }
    public required long Value { get; init; }
}

/// <summary>A timer.</summary>
public sealed record Rang
{
    public required string Key { get; init; }
    public required Guid Counter { get; init; }
}

/// <summary>What a counter sends for each step.</summary>
public sealed record Echoed
{
    public required string Key { get; init; }
    public required long Value { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.Strict,
    AllowDuplicateProperties = false,
    RespectNullableAnnotations = true,
    MaxDepth = 32
)]
[JsonSerializable(typeof(Added))]
[JsonSerializable(typeof(Corrected))]
[JsonSerializable(typeof(Closed))]
[JsonSerializable(typeof(Renamed))]
[JsonSerializable(typeof(Rang))]
[JsonSerializable(typeof(Echoed))]
sealed partial class CountingJson : JsonSerializerContext
{
    public const string Steps = "steps";
    public const string MoreSteps = "more-steps";
    public const string Echoes = "echoes";

    public static void Fill(MessageCatalog catalog, string prefix)
    {
        catalog.Add(
            Kind(
                "test.added.v1",
                Default.Added,
                prefix + Steps,
                m => m.Key,
                m => m.Value < 0 ? "value: is negative" : null
            )
        );
        catalog.Add(Kind("test.corrected.v1", Default.Corrected, prefix + Steps, m => m.Key));
        catalog.Add(Kind("test.closed.v1", Default.Closed, prefix + Steps, m => m.Key));
        catalog.Add(Kind("test.renamed.v1", Default.Renamed, prefix + Steps, m => m.Key));
        catalog.Add(Kind("test.rang.v1", Default.Rang, prefix + Steps, m => m.Key));
        catalog.Add(Kind("test.echoed.v1", Default.Echoed, prefix + Echoes, m => m.Key));
    }

    static MessageKind Kind<T>(
        string name,
        System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> json,
        string topic,
        Func<T, string> key,
        Func<T, string?>? problem = null
    )
        where T : class => new(name, json, _ => topic, m => key((T)m), _ => null, m => problem?.Invoke((T)m));
}

public sealed class Counter : SagaStateMachineInstance
{
    public Guid CorrelationId { get; set; }
    public string CurrentState { get; set; } = "";
    public string? Name { get; set; }
    public long Count { get; set; }
    public long Last { get; set; }
    public Dictionary<string, long> Seen { get; set; } = [];
    public Detail Detail { get; set; } = new();
    public List<string> Tags { get; set; } = [];
    public DateTime? ChangedAt { get; set; }
    public Guid? RingToken { get; set; }
    public long Rings { get; set; }
    public long Version { get; set; }
}

public sealed record Detail
{
    public string? Note { get; set; }
    public List<long> Values { get; set; } = [];
}

/// <summary>What one message did, append-only and without a unique index: a repeated effect would be seen.</summary>
public sealed record Effect(string Topic, int Partition, long Offset, string Key, long Value);

sealed class EffectWriter : IBatchRowWriter<Effect>
{
    public async Task Write(
        IReadOnlyList<Effect> rows,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        await using var command = new NpgsqlCommand(
            $"insert into {CountingDb.Schema}.effect (topic, partition, \"offset\", key, value) select * from unnest($1, $2, $3, $4, $5)",
            connection
        );
        command.Parameters.Add(new() { Value = rows.Select(r => r.Topic).ToArray() });
        command.Parameters.Add(new() { Value = rows.Select(r => r.Partition).ToArray() });
        command.Parameters.Add(new() { Value = rows.Select(r => r.Offset).ToArray() });
        command.Parameters.Add(new() { Value = rows.Select(r => r.Key).ToArray() });
        command.Parameters.Add(new() { Value = rows.Select(r => r.Value).ToArray() });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

public sealed class CountingDb(DbContextOptions<CountingDb> options) : DbContext(options)
{
    public const string Schema = "counting";

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema(Schema);
        modelBuilder.Entity<Counter>(counter =>
        {
            counter.ToTable("counter");
            counter.HasKey(c => c.CorrelationId);
            counter.Property(c => c.CorrelationId).ValueGeneratedNever();
            counter
                .Property(c => c.Seen)
                .HasColumnType("jsonb")
                .HasConversion(
                    v => JsonSerializer.Serialize(v, JsonSerializerOptions.Default),
                    v => JsonSerializer.Deserialize<Dictionary<string, long>>(v, JsonSerializerOptions.Default)!
                );
            counter
                .Property(c => c.Detail)
                .HasColumnType("jsonb")
                .HasConversion(
                    v => JsonSerializer.Serialize(v, JsonSerializerOptions.Default),
                    v => JsonSerializer.Deserialize<Detail>(v, JsonSerializerOptions.Default)!
                );
        });
    }
}

[DbContext(typeof(CountingDb))]
[Migration("20260101000000_Counting")]
sealed class CountingMigration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddMessagingTables(CountingDb.Schema);
        migrationBuilder.Sql(
            $"""
            create table {CountingDb.Schema}.counter (
              correlation_id uuid primary key, current_state text not null, name text, count bigint not null,
              last bigint not null, seen jsonb not null, detail jsonb not null, tags text[] not null,
              changed_at timestamptz, ring_token uuid, rings bigint not null, version bigint not null);
            create table {CountingDb.Schema}.effect (
              topic text not null, partition int not null, "offset" bigint not null, key text not null,
              value bigint not null, at bigint generated always as identity);
            """
        );
    }

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropMessagingTables(CountingDb.Schema);
}

/// <summary>What a test lets the behaviour do before and after it counts.</summary>
public sealed class Behaviour
{
    public Func<BehaviorContext<Counter, Step>, Task> Before { get; set; } = _ => Task.CompletedTask;

    public Func<BehaviorContext<Counter, Step>, Task> After { get; set; } = _ => Task.CompletedTask;
}

public sealed class CountingMachine : MassTransitStateMachine<Counter>
{
    public CountingMachine(Behaviour behaviour)
    {
        InstanceState(c => c.CurrentState);
        Event(() => Stepped, e => e.CorrelateById(c => c.Message.Counter));
        Event(
            () => Closing,
            e =>
            {
                e.CorrelateById(c => c.Message.Counter);
                e.OnMissingInstance(m => m.Discard());
            }
        );
        Event(
            () => Renaming,
            e =>
            {
                e.CorrelateBy((counter, c) => counter.Name == c.Message.Name);
                e.OnMissingInstance(m => m.Discard());
            }
        );
        Schedule(
            () => Ring,
            c => c.RingToken,
            s =>
            {
                s.Delay = TimeSpan.FromHours(1);
                s.Received = e =>
                {
                    e.CorrelateById(c => c.Message.Counter);
                    e.OnMissingInstance(m => m.Discard());
                };
            }
        );

        EventActivityBinder<Counter, Step> Handle(EventActivityBinder<Counter, Step> step) =>
            step.ThenAsync(c => Count(c, behaviour))
                .If(c => c.Message.Ask == "schedule", x => x.Schedule(Ring, Rings))
                .If(c => c.Message.Ask == "ring at once", x => x.Schedule(Ring, Rings, _ => TimeSpan.Zero))
                .If(c => c.Message.Ask == "unschedule", x => x.Unschedule(Ring));

        Initially(Handle(When(Stepped)).TransitionTo(Open));
        During(
            Open,
            Handle(When(Stepped)),
            When(Closing).Finalize(),
            When(Renaming).Then(c => c.Saga.Count += c.Message.Value),
            When(Ring.Received).Then(c => c.Saga.Rings++)
        );
        SetCompletedWhenFinalized();
    }

    public State Open { get; private set; } = null!;

    public Event<Step> Stepped { get; private set; } = null!;

    public Event<Closed> Closing { get; private set; } = null!;

    public Event<Renamed> Renaming { get; private set; } = null!;

    public Schedule<Counter, Rang> Ring { get; private set; } = null!;

    static Rang Rings(BehaviorContext<Counter, Step> context) =>
        new() { Key = context.Message.Key, Counter = context.Saga.CorrelationId };

    static async Task Count(BehaviorContext<Counter, Step> context, Behaviour behaviour)
    {
        await behaviour.Before(context);
        var (counter, step) = (context.Saga, context.Message);
        counter.Count++;
        counter.Last = step.Value;
        counter.Seen[step.Key] = step.Value;
        if (step.Text is { } text)
            counter.Name = text;
        await context.Produce(new Echoed { Key = step.Key, Value = step.Value });
        var record = context.ReceiveContext.TryGetPayload(out MessageSlot? slot)
            ? slot.Record
            : throw new InvalidOperationException("not in a batch");
        context
            .Rows()
            .Add(new Effect(record.Topic, record.Partition.Partition.Value, record.Offset, step.Key, step.Value));
        await behaviour.After(context);
    }
}
