using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sync.Adapter.Following;
using Sync.Adapter.Hosting;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Adapter.Working;
using Sync.Contracts.Systems;
using Sync.Messaging.Hosting;
using Sync.Messaging.Outbox;
using Sync.Sandbox.Stripe;
using Sync.Stripe.Adapter;
using Sync.Stripe.Adapter.Webhooks;
using Sync.Tests.Sandbox;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Stripe;

/// <summary>
/// The Stripe adapter with all its services but Kafka's, in this process: real tables, the sandbox's Stripe over HTTP, and
/// an outbox that is read back.
/// </summary>
sealed class StripeStage : IAsyncDisposable
{
    public const string Secret = "whsec_stage";

    readonly ServiceProvider _services;
    readonly List<IHostedService> _running = [];

    StripeStage(TestPostgres database, TestSandbox sandbox, Dictionary<string, string?> settings)
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
                        ["Stripe:ApiKey"] = sandbox.Host.Options.StripeApiKey,
                        ["Stripe:ApiBase"] = sandbox.Host.StripeAddress.ToString().TrimEnd('/'),
                        ["Stripe:ReadsPerSecond"] = "1000",
                        ["Stripe:WritesPerSecond"] = "1000",
                        ["Stripe:WebhookSecrets"] = Secret,
                        ["Stripe:EventsSeconds"] = "3600",
                        // An account in which nothing was before; what was is a test of its own.
                        ["Adapter:ListFirst"] = "false",
                        ["Adapter:GatherMs"] = "5",
                    }
                )
                .AddInMemoryCollection(settings)
                .Build()
        );
        services.TryAddSingleton(TimeProvider.System);
        services.AddSettings<ReplicaOptions>(ReplicaOptions.Section);
        services.AddSingleton<HealthBoard>();
        services.AddSingleton(database.DataSource);
        services.AddAdapter("stripe");
        services.AddStripe();
        services.AddSingleton<IOutbox>(Outbox);
        services.Replace(ServiceDescriptor.Singleton<IMayWork>(new TestMayWork()));
        services.Replace(ServiceDescriptor.Singleton<IAdapterHealth>(new TestHealth()));
        _services = services.BuildServiceProvider();
    }

    public TestPostgres Database { get; }
    public TestSandbox Sandbox { get; }
    public TestOutbox Outbox { get; } = new("stripe");
    public CapturedLogs Logs { get; } = new();

    public string Said => string.Join('\n', Logs.Lines.Select(l => l.Text));

    public StripeAccount Stripe => Sandbox.Host.Stripe;

    public Uri Door => new(Get<WebhookDoor>().Address!, WebhookDoor.Path);

    public T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();

    public static async Task<StripeStage> Start(
        TestSandbox? sandbox = null,
        params (string Name, string? Value)[] settings
    )
    {
        var database = await TestPostgres.Create();
        await database.Execute(
            string.Concat([
                .. MessagingTables.Create("stripe"),
                AdapterTables.Create("stripe"),
                FollowingTables.Create("stripe"),
                StrangerTables.Create("stripe"),
                WebhookTable.Create("stripe"),
                WebhookTable.AddTraces("stripe"),
                TestOutbox.Table("stripe"),
            ])
        );
        return new(database, sandbox ?? await TestSandbox.Start(), settings.ToDictionary(s => s.Name, s => s.Value));
    }

    /// <summary>Starts one of the hosted services; they stop with the stage.</summary>
    public async Task Run<T>()
        where T : IHostedService
    {
        var service = _services.GetServices<IHostedService>().OfType<T>().Single();
        _running.Add(service);
        await service.StartAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>All that a process runs, and an endpoint at the vendor's that points here.</summary>
    public async Task RunAll(bool webhooks = true)
    {
        await Run<Workers>();
        await Run<WebhookDoor>();
        await Run<WebhookWorker>();
        await Run<Feeds>();
        if (webhooks)
            Stripe.Webhooks.Know(Register(), Secret);
    }

    public string Register(string version = StripeEvents.ApiVersion)
    {
        var endpoint = Stripe.Webhooks.Create(
            StripeForm.Parse($"url={Door}&api_version={version}&enabled_events[]=*").Root
        );
        return (string)endpoint["id"]!;
    }

    public async Task TakeIn(params PushCustomer[] commands)
    {
        await using var connection = await Database.DataSource.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await Get<WorkWriter>().Write([.. commands.Select(WorkRow.Of)], connection, default);
        await transaction.CommitAsync();
    }

    public async Task<CustomerReported> Created(string customer, params (string, string?)[] write)
    {
        var command = new PushCustomer
        {
            CommandId = Guid.NewGuid(),
            System = "stripe",
            CustomerId = customer,
            Generation = 0,
            Operation = Operation.Create,
            Revision = 1,
            Write = write.ToDictionary(w => w.Item1, w => w.Item2),
            Expect = [],
        };
        await TakeIn(command);
        return await Report(r => r.Ack == command.CommandId, "the create is answered");
    }

    /// <summary>The newest report of a kind, once there is one.</summary>
    public Task<CustomerReported> Report(Func<CustomerReported, bool> isIt, string what) =>
        Message<CustomerReported>(isIt, what);

    public async Task<T> Message<T>(Func<T, bool> isIt, string what)
        where T : class
    {
        var found = await Eventually.Get(
            async () => (await Outbox.All(Database)).OfType<T>().LastOrDefault(isIt),
            m => m is not null,
            what
        );
        return found!;
    }

    public Task<long> Count(string table, string where = "true") =>
        Database.Scalar<long>($"select count(*) from stripe.{table} where {where}");

    /// <summary>Nothing waits, and nothing is on its way.</summary>
    public Task Settled() =>
        Eventually.Is(
            async () =>
                (int)Stripe.Webhooks.State()["onTheWay"]! == 0
                && await Count("webhook") == 0
                && await Count("work") == 0
                && await Count("link", "due_at is not null or taken_by is not null") == 0,
            "all is settled"
        );

    /// <summary>An edit by hand, as JSON in the API's form.</summary>
    public void Edit(string ext, string json)
    {
        using var document = JsonDocument.Parse(json);
        Stripe.Update(ext, StripeForm.FromJson(document.RootElement).Root);
    }

    public string Make(string json)
    {
        using var document = JsonDocument.Parse(json);
        return (string)Stripe.Create(StripeForm.FromJson(document.RootElement).Root)["id"]!;
    }

    public void Fault(EventFaultKind kind, int? next = null) =>
        Stripe.Webhooks.AddFault(new() { Kind = kind, Next = next });

    public async ValueTask DisposeAsync()
    {
        foreach (var service in Enumerable.Reverse(_running))
            await service.StopAsync(default);
        await _services.DisposeAsync();
        await Sandbox.DisposeAsync();
        await Database.DisposeAsync();
    }
}
