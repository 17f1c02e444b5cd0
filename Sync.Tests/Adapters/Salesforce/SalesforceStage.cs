using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sync.Adapter.Following;
using Sync.Adapter.Hosting;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Adapter.Working;
using Sync.Contracts.Systems;
using Sync.Messaging.Hosting;
using Sync.Messaging.Outbox;
using Sync.Salesforce.Adapter;
using Sync.Sandbox.Salesforce;
using Sync.Tests.Sandbox;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

/// <summary>
/// The Salesforce adapter with all its services but Kafka's, in this process: real tables, the sandbox's Salesforce over
/// HTTP and gRPC, and an outbox that is read back.
/// </summary>
sealed class SalesforceStage : IAsyncDisposable
{
    readonly ServiceProvider _services;
    readonly List<IHostedService> _running = [];

    SalesforceStage(TestPostgres database, TestSandbox sandbox, Dictionary<string, string?> settings)
    {
        Database = database;
        Sandbox = sandbox;
        var services = new ServiceCollection();
        services.AddLogging(logging => logging.AddProvider(Logs).SetMinimumLevel(LogLevel.Debug));
        services.AddSingleton<IConfiguration>(
            new ConfigurationBuilder()
                .AddInMemoryCollection(
                    new Dictionary<string, string?>
                    {
                        ["Sync:Config"] = Path.Combine(Repository.Root, "config"),
                        ["Sync:Environment"] = "test",
                        ["Sync:Replica"] = "replica",
                        ["Salesforce:LoginUrl"] = sandbox.Host.SalesforceAddress.ToString(),
                        ["Salesforce:ClientId"] = sandbox.Host.Options.SalesforceClientId,
                        ["Salesforce:ClientSecret"] = sandbox.Host.Options.SalesforceClientSecret,
                        ["Salesforce:PubSubUrl"] = sandbox.Host.SalesforceEventsAddress.ToString(),
                        ["Salesforce:PubSubCa"] = sandbox.Host.SalesforceEventsCa,
                        ["Salesforce:SweepSeconds"] = "86400",
                        // An account in which nothing was before; what was is a test of its own.
                        ["Adapter:ListFirst"] = "false",
                        ["Adapter:GatherMs"] = "5",
                        ["Adapter:BackoffMaxSeconds"] = "1",
                    }
                )
                .AddInMemoryCollection(settings)
                .Build()
        );
        services.TryAddSingleton(TimeProvider.System);
        services.AddSettings<ReplicaOptions>(ReplicaOptions.Section);
        services.AddSingleton<HealthBoard>();
        services.AddSingleton(database.DataSource);
        services.AddAdapter("salesforce");
        services.AddSalesforce();
        services.AddSingleton<IOutbox>(Outbox);
        services.Replace(ServiceDescriptor.Singleton<IMayWork>(new TestMayWork()));
        services.Replace(ServiceDescriptor.Singleton<IAdapterHealth>(new TestHealth()));
        _services = services.BuildServiceProvider();
    }

    public TestPostgres Database { get; }
    public TestSandbox Sandbox { get; }
    public TestOutbox Outbox { get; } = new("salesforce");
    public CapturedLogs Logs { get; } = new();

    public SalesforceOrg Org => Sandbox.Host.Salesforce;

    public static async Task<SalesforceStage> Start(params (string Name, string? Value)[] settings)
    {
        var database = await TestPostgres.Create();
        await database.Execute(
            string.Concat([
                .. MessagingTables.Create("salesforce"),
                AdapterTables.Create("salesforce"),
                FollowingTables.Create("salesforce"),
                StrangerTables.Create("salesforce"),
                TestOutbox.Table("salesforce"),
            ])
        );
        return new(
            database,
            await TestSandbox.Start(TestSandbox.Quiet with { SalesforceKeepaliveSeconds = 1 }),
            settings.ToDictionary(s => s.Name, s => s.Value)
        );
    }

    /// <summary>All that a process runs. When this answers, every feed has its cursor and the first scan is over.</summary>
    public async Task RunAll()
    {
        foreach (var service in _services.GetServices<IHostedService>().Where(s => s is Workers or Feeds))
        {
            _running.Add(service);
            await service.StartAsync(TestContext.Current.CancellationToken);
        }

        var feeds = _services.GetRequiredService<IEnumerable<IFeed>>().Count();
        await Eventually.Is(
            async () => await Count("cursor", "value is not null") == feeds,
            "every feed has its cursor"
        );
        await Scanned();
    }

    public Task Scanned() =>
        Eventually.Is(
            async () => await Count("scan") > 0 && await Count("scan", "state <> 'done'") == 0,
            "what was scanned for is over"
        );

    public Task<CustomerReported> Created(string customer, params (string, string?)[] write) =>
        Answered(
            new PushCustomer
            {
                CommandId = Guid.NewGuid(),
                System = "salesforce",
                CustomerId = customer,
                Generation = 0,
                Operation = Operation.Create,
                Revision = 1,
                Write = write.ToDictionary(w => w.Item1, w => w.Item2),
                Expect = [],
            }
        );

    /// <summary>What the saga would ask for next, of the customer that a report tells of.</summary>
    public static PushCustomer Command(
        Operation operation,
        CustomerReported of,
        params (string Path, string? Value)[] write
    ) =>
        new()
        {
            CommandId = Guid.NewGuid(),
            System = "salesforce",
            CustomerId = of.CustomerId,
            Generation = of.Generation,
            Operation = operation,
            ExternalId = of.ExternalId,
            Revision = 2,
            Write = write.ToDictionary(w => w.Path, w => w.Value),
            Expect = write.ToDictionary(w => w.Path, w => of.Fields?.GetValueOrDefault(w.Path)),
        };

    public async Task<CustomerReported> Answered(PushCustomer command) => (await Answered([command]))[0];

    /// <summary>Taken in together, so that the workers send them together.</summary>
    public async Task<IReadOnlyList<CustomerReported>> Answered(PushCustomer[] commands)
    {
        await using (var connection = await Database.DataSource.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await _services
                .GetRequiredService<WorkWriter>()
                .Write([.. commands.Select(WorkRow.Of)], connection, default);
            await transaction.CommitAsync();
        }

        List<CustomerReported> answers = [];
        foreach (var command in commands)
            answers.Add(await Message<CustomerReported>(r => r.Ack == command.CommandId, "the command is answered"));
        return answers;
    }

    public async Task<T> Message<T>(Func<T, bool> isIt, string what)
        where T : class =>
        (
            await Eventually.Get(
                async () => (await Outbox.All(Database)).OfType<T>().LastOrDefault(isIt),
                m => m is not null,
                what
            )
        )!;

    public Task<long> Count(string table, string where = "true") =>
        Database.Scalar<long>($"select count(*) from salesforce.{table} where {where}");

    /// <summary>A sign made by hand behind everything so far: once it is told, all before it was.</summary>
    public async Task Settled()
    {
        var sign = Make($$"""{ "Name": "sign {{Guid.NewGuid()}}" }""");
        await Message<ObjectFound>(f => f.ExternalId == sign, "the sign is found");
        await Eventually.Is(
            async () =>
                await Count("work") == 0 && await Count("link", "due_at is not null or taken_by is not null") == 0,
            "all is settled"
        );
    }

    public string Make(string json)
    {
        using var body = JsonDocument.Parse(json);
        return Org.Create(body.RootElement, SalesforceOrg.Human);
    }

    public void Edit(string ext, string json)
    {
        using var body = JsonDocument.Parse(json);
        Org.Update(ext, body.RootElement, SalesforceOrg.Human);
    }

    public void Merge(string winner, string loser)
    {
        using var none = JsonDocument.Parse("{}");
        Org.Merge(winner, loser, none.RootElement, SalesforceOrg.Human);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var service in Enumerable.Reverse(_running))
            await service.StopAsync(default);
        await _services.DisposeAsync();
        await Sandbox.DisposeAsync();
        await Database.DisposeAsync();
    }
}
