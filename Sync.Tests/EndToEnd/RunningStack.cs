using Npgsql;
using Sync.Sandbox;
using Sync.Sandbox.Demo;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stack;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary>Three processes at a time are what two cores carry: these tests run one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class EndToEndCollection : ICollectionFixture<RunningStack>
{
    public const string Name = "end to end";
}

/// <summary>
/// The orchestrator and both adapters as processes, against strangers in this one and a database of their own, each as the
/// role that <c>deploy/postgres/roles.sql</c> makes for it: whatever these tests show works with no more rights than those.
/// </summary>
public sealed class RunningStack : IAsyncLifetime
{
    /// <summary>In every customer's name, e-mail and address: whatever process prints it has printed personal data.</summary>
    internal const string Personal = "Zyxwvut";

    TestRoles? _roles;
    SyncStack? _stack;
    OtlpCollector? _collector;

    internal SyncStack Stack => _stack!;

    internal TestRoles Roles => _roles!;

    internal TestPostgres Postgres => _roles!.Postgres;

    internal OtlpCollector Collector => _collector!;

    internal FlowRun Run => new(Stack, static _ => { }, TestContext.Current.CancellationToken);

    public async ValueTask InitializeAsync()
    {
        _roles = await TestRoles.Create();
        _collector = await OtlpCollector.Start();
        var options = Options(_roles.Postgres, "shared");
        _stack = await SyncStack.Run(
            options with
            {
                ConfigFolder = await Config(),
                Settings = As(
                    options.Settings.Concat(Exporting(_collector.HttpAddress, "http/protobuf")),
                    TestRoles.Orchestrator
                ),
                StripeSettings = As(options.StripeSettings, TestRoles.Stripe),
                SalesforceSettings = As(
                    options
                        .SalesforceSettings.Concat(Exporting(_collector.GrpcAddress, "grpc"))
                        .Append(new("SALESFORCE__SWEEPSECONDS", "10")),
                    TestRoles.Salesforce
                ),
            },
            TestContext.Current.CancellationToken
        );
        _collector.Forbid(Forbidden);
    }

    /// <summary>
    /// Personal data and secrets that no process may let out. Each process has a password of its role in PostgreSQL and the
    /// secrets of its vendor.
    /// </summary>
    internal IReadOnlyList<string> Forbidden =>
        [
            Personal,
            "+442079469999",
            Stack.Sandbox.Options.StripeApiKey,
            Stack.WebhookSecret,
            Stack.Sandbox.Options.SalesforceClientSecret,
            // Where Salesforce's access tokens begin.
            $"{SalesforceId.Short(SalesforceOrg.OrganizationId)}!AQ",
            new NpgsqlConnectionStringBuilder(Roles.Url(TestRoles.Orchestrator)).Password!,
        ];

    public async ValueTask DisposeAsync()
    {
        if (_stack is not null)
            await _stack.DisposeAsync();
        if (_roles is not null)
            await _roles.DisposeAsync();
        if (_collector is not null)
            await _collector.DisposeAsync();
    }

    /// <summary>The mapping that comes with the project, but for one field whose conflicts wait for a person.</summary>
    static async Task<string> Config()
    {
        var cancelled = TestContext.Current.CancellationToken;
        var folder = Directory.CreateDirectory(Path.Combine(LogFolder("config"))).FullName;
        foreach (var file in Directory.EnumerateFiles(Path.Combine(StackOptions.Root, "config")))
        {
            var text = await File.ReadAllTextAsync(file, cancelled);
            await File.WriteAllTextAsync(
                Path.Combine(folder, Path.GetFileName(file)),
                text.Replace(
                    """"path": "attributes.tier", "owner": "product", "onConflict": "owner"""",
                    """"path": "attributes.tier", "owner": "product", "onConflict": "hold"""",
                    StringComparison.Ordinal
                ),
                cancelled
            );
        }

        return folder;
    }

    /// <summary>Sent often: the defaults are a matter of a minute.</summary>
    static Dictionary<string, string> Exporting(string address, string protocol) =>
        new()
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = address,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol,
            ["OTEL_BSP_SCHEDULE_DELAY"] = "250",
            ["OTEL_METRIC_EXPORT_INTERVAL"] = "2000",
        };

    Dictionary<string, string> As(IEnumerable<KeyValuePair<string, string>> settings, string role) =>
        new(settings) { ["DATABASE__URL"] = _roles!.Url(role), ["DATABASE__MIGRATEATSTART"] = "false" };

    internal static StackOptions Options(TestPostgres postgres, string name) =>
        new()
        {
            DatabaseUrl = postgres.ConnectionString,
            LogFolder = LogFolder(name),
            Sandbox = new SandboxOptions { StripeCallsPerSecond = 100, StripeCallsPerEndpointSecond = 100 },
            StripeSettings = new Dictionary<string, string>
            {
                ["STRIPE__WRITESPERSECOND"] = "90",
                ["STRIPE__READSPERSECOND"] = "90",
                ["STRIPE__CALLSPERSECOND"] = "95",
                ["ADAPTER__PAUSEPROBESECONDS"] = "2",
            },
            SalesforceSettings = new Dictionary<string, string> { ["ADAPTER__PAUSEPROBESECONDS"] = "2" },
        };

    /// <summary>Below the run's folder, where <c>./sync test</c> says that logs are.</summary>
    internal static string LogFolder(string name)
    {
        var run = Environment.GetEnvironmentVariable("SYNC_RUN") ?? Path.Combine(Path.GetTempPath(), "sync-tests");
        return Directory.CreateDirectory(Path.Combine(run, "logs", $"{name}-{Guid.NewGuid():n}")).FullName;
    }
}
