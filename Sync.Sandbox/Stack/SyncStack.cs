using Npgsql;
using Sync.Contracts;
using Sync.Sandbox.Page;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stripe;

namespace Sync.Sandbox.Stack;

/// <summary>
/// Everything at once: the strangers in this process, and the real processes of Sync as children, each with its own
/// settings and log. A stranger is played only while the real one is not configured.
/// </summary>
sealed class SyncStack : IAsyncDisposable
{
    readonly ILoggerFactory _loggers;
    readonly int _webhookPort;
    readonly string _webhookSecret = "";

    SyncStack(StackOptions options, ILoggerFactory loggers, SandboxHost sandbox)
    {
        Options = options;
        _loggers = loggers;
        Sandbox = sandbox;
        sandbox.Views = new SyncViews(options.DatabaseUrl);
        sandbox.RealSystems =
        [
            .. RealKafka ? ["product"] : Array.Empty<string>(),
            .. RealStripe ? [StripeApi.Vendor] : Array.Empty<string>(),
            .. RealSalesforce ? [SalesforceApi.Vendor] : Array.Empty<string>(),
        ];
        Database = NpgsqlDataSource.Create(StartGuard.ConnectionString(options.DatabaseUrl));
        Product = new HttpClient { BaseAddress = sandbox.ProductAddress, Timeout = TimeSpan.FromSeconds(30) };
        if (!RealStripe)
            (_webhookPort, _webhookSecret) = RegisterWebhooks(sandbox);
        Orchestrator = Process("orchestrator", "Sync.Orchestrator", OrchestratorSettings());
        Stripe = Process("stripe-adapter", "Sync.Stripe.Adapter", StripeSettings());
        Salesforce = Process("salesforce-adapter", "Sync.Salesforce.Adapter", SalesforceSettings());
    }

    public StackOptions Options { get; }

    public SandboxHost Sandbox { get; }

    /// <summary>Of everything: each process keeps to its own schema.</summary>
    public NpgsqlDataSource Database { get; }

    /// <summary>The reference product's REST API, and <c>/sandbox/…</c>.</summary>
    public HttpClient Product { get; }

    public ManagedProcess Orchestrator { get; }
    public ManagedProcess Stripe { get; }
    public ManagedProcess Salesforce { get; }

    public IReadOnlyList<ManagedProcess> Processes => [Orchestrator, Stripe, Salesforce];

    public string SandboxLog => Path.Combine(Options.LogFolder, "sandbox.log");

    /// <summary>Which part is the real one; null for a stand-in.</summary>
    public bool RealStripe => Options.Settings.ContainsKey("STRIPE__APIKEY");
    public bool RealSalesforce => Options.Settings.ContainsKey("SALESFORCE__LOGINURL");
    public bool RealKafka => Options.Settings.ContainsKey("KAFKA__BOOTSTRAP");

    /// <summary>Starts the strangers; no process of Sync yet.</summary>
    public static async Task<SyncStack> Create(StackOptions options, CancellationToken cancellationToken)
    {
        var nothingIsPlayed =
            options.Settings.ContainsKey("KAFKA__BOOTSTRAP")
            && options.Settings.ContainsKey("STRIPE__APIKEY")
            && options.Settings.ContainsKey("SALESFORCE__LOGINURL");
        if (!nothingIsPlayed && await StartGuard.Problem(options.DatabaseUrl, cancellationToken) is { } problem)
            throw new StackException(problem);

        Directory.CreateDirectory(options.LogFolder);
        var loggers = LoggerFactory.Create(logging =>
            logging
                .AddFilter("Microsoft", LogLevel.Warning)
                .AddProvider(new FileLog(Path.Combine(options.LogFolder, "sandbox.log"), TimeProvider.System))
        );
        try
        {
            var sandbox = await SandboxHost.Start(
                options.Sandbox with
                {
                    Kafka = !options.Settings.ContainsKey("KAFKA__BOOTSTRAP"),
                },
                loggers,
                cancellationToken: cancellationToken
            );
            return new SyncStack(options, loggers, sandbox);
        }
        catch
        {
            loggers.Dispose();
            throw;
        }
    }

    /// <summary>Starts the processes, all at once, and waits until each is assigned and has claimed.</summary>
    public async Task Start(Action<ManagedProcess>? ready, CancellationToken cancellationToken)
    {
        foreach (var process in Processes)
            process.Start();
        await Task.WhenAll(
            Processes.Select(async process =>
            {
                await process.WaitUntilReady(cancellationToken);
                ready?.Invoke(process);
            })
        );
    }

    /// <summary>Started and ready: what most tests want.</summary>
    public static async Task<SyncStack> Run(StackOptions options, CancellationToken cancellationToken)
    {
        var stack = await Create(options, cancellationToken);
        try
        {
            await stack.Start(ready: null, cancellationToken);
            return stack;
        }
        catch
        {
            await stack.DisposeAsync();
            throw;
        }
    }

    public void ThrowIfAnyDied()
    {
        foreach (var process in Processes)
            process.ThrowIfDead();
    }

    public async ValueTask DisposeAsync()
    {
        // Adapters first would do as well: nobody loses anything at a stop.
        await Task.WhenAll(Processes.Select(process => process.DisposeAsync().AsTask()));
        Product.Dispose();
        await Database.DisposeAsync();
        await Sandbox.DisposeAsync();
        _loggers.Dispose();
    }

    /// <summary>What every process is told; tests start one by itself with it.</summary>
    public Dictionary<string, string> CommonSettings(string replica) =>
        With(
            new Dictionary<string, string>
            {
                ["DATABASE__URL"] = Options.DatabaseUrl,
                ["DATABASE__MIGRATEATSTART"] = "true",
                ["KAFKA__PARTITIONS"] = $"{Topics.Partitions}",
                ["SYNC__CONFIG"] = Options.ConfigFolder,
                ["SYNC__ENVIRONMENT"] = "sandbox",
                ["SYNC__REPLICA"] = replica,
            },
            RealKafka
                ? null
                : new Dictionary<string, string>
                {
                    ["KAFKA__BOOTSTRAP"] = Sandbox.BootstrapServers,
                    ["KAFKA__EMBEDDED"] = "true",
                },
            Options.Settings.Where(s =>
                !s.Key.StartsWith("STRIPE__", StringComparison.Ordinal)
                && !s.Key.StartsWith("SALESFORCE__", StringComparison.Ordinal)
                && !s.Key.StartsWith("MANAGEMENT__", StringComparison.Ordinal)
            )
        );

    public Dictionary<string, string> OrchestratorSettings() => CommonSettings("orchestrator-1");

    public Dictionary<string, string> StripeSettings() =>
        With(
            CommonSettings("stripe-1"),
            RealStripe
                ? null
                : new Dictionary<string, string>
                {
                    ["STRIPE__APIKEY"] = Sandbox.Options.StripeApiKey,
                    ["STRIPE__APIBASE"] = Address(Sandbox.StripeAddress),
                    ["STRIPE__WEBHOOKPORT"] = $"{_webhookPort}",
                    ["STRIPE__WEBHOOKSECRETS"] = _webhookSecret,
                    // The stand-in's clock is this machine's, and nobody waits for a minute here.
                    ["STRIPE__EVENTSSECONDS"] = "5",
                },
            Options.Settings.Where(s => s.Key.StartsWith("STRIPE__", StringComparison.Ordinal)),
            Options.StripeSettings
        );

    public Dictionary<string, string> SalesforceSettings() =>
        With(
            CommonSettings("salesforce-1"),
            RealSalesforce
                ? null
                : new Dictionary<string, string>
                {
                    ["SALESFORCE__LOGINURL"] = Address(Sandbox.SalesforceAddress),
                    ["SALESFORCE__CLIENTID"] = Sandbox.Options.SalesforceClientId,
                    ["SALESFORCE__CLIENTSECRET"] = Sandbox.Options.SalesforceClientSecret,
                    ["SALESFORCE__PUBSUBURL"] = Address(Sandbox.SalesforceEventsAddress),
                    ["SALESFORCE__PUBSUBCA"] = Sandbox.SalesforceEventsCa,
                },
            Options.Settings.Where(s => s.Key.StartsWith("SALESFORCE__", StringComparison.Ordinal)),
            Options.SalesforceSettings
        );

    /// <summary>As the verb <c>webhooks register</c> does for a real account, before the port is listened on.</summary>
    static (int Port, string Secret) RegisterWebhooks(SandboxHost sandbox)
    {
        var port = ManagedProcess.FreePort();
        var endpoint = sandbox.Stripe.Webhooks.Create(
            StripeForm
                .Parse(
                    $"url=http://127.0.0.1:{port}/webhooks/stripe&api_version={StripeEvents.ApiVersion}"
                        + "&enabled_events[0]=customer.created&enabled_events[1]=customer.updated&enabled_events[2]=customer.deleted"
                )
                .Root
        );
        return (port, (string)endpoint["secret"]!);
    }

    /// <summary>One more process of a kind, not started: a second replica, or one with wrong settings.</summary>
    public ManagedProcess Process(string name, string project, IReadOnlyDictionary<string, string> settings) =>
        new(name, StackOptions.Assembly(project), settings, Options.LogFolder);

    public static string Address(Uri uri) => uri.ToString().TrimEnd('/');

    static Dictionary<string, string> With(
        Dictionary<string, string> settings,
        params IEnumerable<KeyValuePair<string, string>>?[] more
    )
    {
        foreach (var (name, value) in more.OfType<IEnumerable<KeyValuePair<string, string>>>().SelectMany(m => m))
            settings[name] = value;
        return settings;
    }
}

/// <summary>What a stack is made of.</summary>
sealed record StackOptions
{
    /// <summary>A database that holds no customer yet.</summary>
    public required string DatabaseUrl { get; init; }

    public required string LogFolder { get; init; }

    public SandboxOptions Sandbox { get; init; } = new();

    /// <summary>Settings of a person who has something real; they win, and take the stand-in away.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>();

    public IReadOnlyDictionary<string, string> StripeSettings { get; init; } = new Dictionary<string, string>();
    public IReadOnlyDictionary<string, string> SalesforceSettings { get; init; } = new Dictionary<string, string>();

    public string ConfigFolder { get; init; } = Path.Combine(Root, "config");

    /// <summary>The checkout: the nearest folder above this program that holds the solution.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>A sibling's program, built in the same configuration as this one.</summary>
    public static string Assembly(string project) =>
        Path.Combine(
            Root,
            "artifacts",
            "bin",
            project,
            new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar)).Name,
            $"{project}.dll"
        );

    static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Sync.sln")))
                return folder.FullName;
        }

        throw new StackException($"no Sync.sln above {AppContext.BaseDirectory}; the stack starts from a checkout");
    }
}
