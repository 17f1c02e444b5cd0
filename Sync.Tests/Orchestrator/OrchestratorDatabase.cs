using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Npgsql;
using Sync.Contracts;
using Sync.Contracts.Systems;
using Sync.Messaging.Hosting;
using Sync.Messaging.Sagas;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.FoundObjects;
using Sync.Orchestrator.Storage;
using Sync.Tests.Support;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>The orchestrator's tables and views in a database of their own, filled as the kernel would fill them.</summary>
sealed class OrchestratorDatabase : IAsyncDisposable
{
    /// <summary>In every value that a test stores: whatever shows it has shown personal data.</summary>
    public const string Personal = "Zyxwvut";

    readonly IModel _model;

    OrchestratorDatabase(TestPostgres postgres, IModel model)
    {
        Postgres = postgres;
        _model = model;
    }

    public TestPostgres Postgres { get; }

    public static async Task<OrchestratorDatabase> Create()
    {
        var postgres = await TestPostgres.Create();
        await using var db = Context(postgres);
        await db.Database.MigrateAsync();
        return new(postgres, db.Model);
    }

    /// <summary>One that has its tables already.</summary>
    public static OrchestratorDatabase On(TestPostgres postgres)
    {
        using var db = Context(postgres);
        return new(postgres, db.Model);
    }

    static OrchestratorDb Context(TestPostgres postgres)
    {
        var options = new DbContextOptionsBuilder<OrchestratorDb>();
        options.UseSyncPostgres(postgres.DataSource, OrchestratorDb.Schema);
        return new(options.Options);
    }

    public async Task Insert(ISaga saga)
    {
        var table = SagaTable.From(_model, saga.GetType());
        await using var connection = await Postgres.DataSource.OpenConnectionAsync();
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(table.Insert([new(saga.CorrelationId, table.Read(saga), 1)]));
        Assert.Equal(1, await batch.ExecuteNonQueryAsync());
    }

    /// <summary>A customer whose story was told under the name that all stories have, under one of its own.</summary>
    public Task Insert(string id, CustomerSync told)
    {
        told.CustomerId = id;
        told.CorrelationId = CustomerIds.CorrelationId(id);
        return Insert(told);
    }

    /// <summary>Rows as text, columns separated by <c>|</c>, arrays by commas.</summary>
    public async Task<List<string>> Rows(string sql)
    {
        await using var command = Postgres.DataSource.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        List<string> rows = [];
        while (await reader.ReadAsync())
            rows.Add(
                string.Join(
                    '|',
                    Enumerable
                        .Range(0, reader.FieldCount)
                        .Select(i =>
                            reader.IsDBNull(i) ? ""
                            : reader.GetValue(i) is string[] array ? string.Join(',', array)
                            : reader.GetValue(i).ToString()
                        )
                )
            );
        return rows;
    }

    /// <summary>One customer for each way in which a customer can differ from being in step; its id says which.</summary>
    public async Task InsertOneOfEach(string prefix = "")
    {
        (string, string?)[] person = [("name", Personal), ("email", $"{Personal}@example.com")];
        await using (var story = await Scenario.InStep(null, person))
            await Insert(prefix + "in-step", story.Customer);

        await using (var story = await Scenario.InStep(null, person))
        {
            await story.Snapshot(("name", Personal + "2"), ("email", $"{Personal}@example.com"), ("phone", "Ab1"));
            await Insert(prefix + "waiting", story.Customer);
        }

        await using (var story = await Scenario.InStep(null, person))
        {
            await story.Snapshot(("name", Personal + "2"), ("email", $"{Personal}@example.com"), ("phone", "Ab1"));
            await Refuse(story, Crm, "name");
            await story.Answer(Billing);
            await Insert(prefix + "refused", story.Customer);
        }

        await using (var story = await Scenario.InStep(null, [.. person, ("address.city", "Oslo")]))
        {
            await story.Snapshot([.. person, ("phone", "Ab1"), ("address.city", Personal)]);
            await story.Edit(Crm, ("address.city", Personal + "2"));
            await Insert(prefix + "held", story.Customer);
        }

        await using (var story = await Scenario.InStep(TwoWay with { DeletionBrake = (_, _) => true }, person))
        {
            await story.Gone(Billing);
            await Insert(prefix + "gone", story.Customer);
        }

        await using (var story = await Scenario.InStep(null, person))
        {
            await story.Deleted();
            Assert.Null(
                await story.Send(
                    story.Report(Crm) with
                    {
                        Ack = story.Sent(Crm)!.Id,
                        Outcome = Outcome.Refused,
                        Reason = "a live subscription",
                    }
                )
            );
            await Insert(prefix + "not-deleted", story.Customer);
            story.Customer.System(Crm).Brake = BrakeReasons.Kept;
            await Insert(prefix + "kept", story.Customer);
        }

        if (prefix.Length > 0)
            return;
        await Insert(
            new FoundObject
            {
                CorrelationId = CustomerIds.ObjectId(Crm, "crm-7"),
                CurrentState = "Parked",
                System = Crm,
                Ext = "crm-7",
                Fields = new() { ["name"] = Personal },
                Reason = "unmatched",
                Since = DateTimeOffset.UnixEpoch,
            }
        );
    }

    public ValueTask DisposeAsync() => Postgres.DisposeAsync();

    static async Task Refuse(Scenario story, string system, string path)
    {
        var sent = story.Sent(system)!;
        Assert.Null(
            await story.Send(
                story.Report(system) with
                {
                    Ack = sent.Id,
                    Outcome = Outcome.Refused,
                    Refused = new() { [path] = sent.Write[path] },
                    Reason = $"{path}: too long",
                }
            )
        );
    }
}
