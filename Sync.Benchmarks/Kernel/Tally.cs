using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;

namespace Sync.Benchmarks.Kernel;

/// <summary>The state that every contender keeps, one row a key.</summary>
public sealed class Tally : SagaStateMachineInstance
{
    public Guid CorrelationId { get; set; }
    public string CurrentState { get; set; } = "";
    public long Count { get; set; }
    public long Last { get; set; }
    public long Version { get; set; }
}

/// <summary>What one event did, append-only and without a unique index: a repeated effect would be seen.</summary>
public sealed record Effect(int Partition, long Offset, string Key, long Value);

sealed class EffectWriter : IBatchRowWriter<Effect>
{
    public async Task Write(
        IReadOnlyList<Effect> rows,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        await using var command = new NpgsqlCommand(TallyDb.InsertEffects, connection);
        command.Parameters.Add(new() { Value = rows.Select(r => r.Partition).ToArray() });
        command.Parameters.Add(new() { Value = rows.Select(r => r.Offset).ToArray() });
        command.Parameters.Add(new() { Value = rows.Select(r => r.Key).ToArray() });
        command.Parameters.Add(new() { Value = rows.Select(r => r.Value).ToArray() });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

public sealed class TallyDb(DbContextOptions<TallyDb> options) : DbContext(options)
{
    public const string Schema = "bench";

    public const string InsertEffects =
        $"insert into {Schema}.effect (partition, \"offset\", key, value) select * from unnest($1, $2, $3, $4)";

    /// <summary>The tables of all contenders.</summary>
    public const string Tables = $"""
        create table {Schema}.tally (
          correlation_id uuid primary key, current_state text not null, count bigint not null, last bigint not null,
          version bigint not null) with (fillfactor = 50);
        create table {Schema}.effect (
          partition int not null, "offset" bigint not null, key text not null, value bigint not null,
          at bigint generated always as identity);
        """;

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema(Schema);
        modelBuilder.Entity<Tally>(tally =>
        {
            tally.ToTable("tally");
            tally.HasKey(t => t.CorrelationId);
            tally.Property(t => t.CorrelationId).ValueGeneratedNever();
        });
    }
}

[DbContext(typeof(TallyDb))]
[Migration("20260101000000_Tally")]
sealed class TallyMigration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddMessagingTables(TallyDb.Schema);
        migrationBuilder.Sql(TallyDb.Tables);
    }

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropMessagingTables(TallyDb.Schema);
}

public sealed class TallyMachine : MassTransitStateMachine<Tally>
{
    public TallyMachine()
    {
        InstanceState(t => t.CurrentState);
        Event(() => Stepped, e => e.CorrelateById(c => c.Message.Subject));
        Initially(When(Stepped).ThenAsync(Count).TransitionTo(Open));
        During(Open, When(Stepped).ThenAsync(Count));
    }

    public State Open { get; private set; } = null!;

    public Event<Happened> Stepped { get; private set; } = null!;

    static async Task Count(BehaviorContext<Tally, Happened> context)
    {
        var (tally, happened) = (context.Saga, context.Message);
        tally.Count++;
        tally.Last = happened.Value;
        foreach (var topic in BenchJson.Commands)
            await context.Produce(BenchJson.Answer(happened, topic));
        var record = context.ReceiveContext.TryGetPayload(out MessageSlot? slot)
            ? slot.Record
            : throw new InvalidOperationException("not in a batch");
        context.Rows().Add(new Effect(record.Partition.Partition.Value, record.Offset, happened.Key, happened.Value));
    }
}
