using Confluent.Kafka;
using Microsoft.Extensions.Logging.Abstractions;
using Sync.Contracts;
using Sync.Sandbox.Admin;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Hosting;
using Sync.Sandbox.Kafka;
using Sync.Sandbox.Page;
using Sync.Sandbox.Product;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Salesforce.Events;
using Sync.Sandbox.Stripe;

namespace Sync.Sandbox;

/// <summary>
/// The strangers, in this process: a product, Stripe, Salesforce and Kafka, all on 127.0.0.1. They share no line of code
/// with what is synced but the contract, and they forget everything when they stop.
/// </summary>
sealed class SandboxHost : IAsyncDisposable
{
    /// <summary>Larger than any reader takes: a test must be able to send what is too large.</summary>
    const int MaxRawBytes = 4 * 1024 * 1024;

    readonly LoopbackServer _product;
    readonly LoopbackServer _stripe;
    readonly LoopbackServer _salesforce;
    readonly SalesforceApi _salesforceApi;
    readonly LoopbackServer _salesforceEvents;
    readonly LoopbackTls _tls;
    readonly ILogger _log;
    readonly Lazy<IProducer<byte[], byte[]>> _raw;
    readonly IReadOnlyDictionary<string, IReadOnlyList<string>> _operations = new Dictionary<
        string,
        IReadOnlyList<string>
    >(StringComparer.Ordinal)
    {
        [StripeApi.Vendor] = StripeApi.Operations,
        [SalesforceApi.Vendor] = SalesforceApi.Operations,
        [PubSub.Vendor] = PubSub.Operations,
    };

    EventDelivery? _events;

    SandboxHost(SandboxOptions options, ILoggerFactory loggers, TimeProvider clock)
    {
        Options = options;
        _log = loggers.CreateLogger("Sync.Sandbox");
        Faults = new FaultBook(options.Seed, _log);
        Product = new ProductCatalog(
            options.ProductAttributes.Split(
                ',',
                StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries
            ),
            options.Seed,
            clock
        );
        Stripe = new StripeAccount(options.Seed, TimeSpan.FromSeconds(options.StripeSearchLagSeconds), clock, _log);
        Salesforce = new SalesforceOrg(options.Seed, clock);
        StripeKeys = new StripeKeys(clock);
        SalesforceTokens = new SalesforceTokens(
            TimeSpan.FromMinutes(options.SalesforceSessionMinutes),
            options.Seed,
            clock
        );
        SalesforceUsage = new SalesforceUsage(options.SalesforceDailyRequests, clock);

        var stripe = new StripeApi(
            Stripe,
            StripeKeys,
            new StripeRates(options.StripeCallsPerSecond, options.StripeCallsPerEndpointSecond, clock),
            options.StripeApiKey,
            Faults,
            Calls,
            _log
        );
        _salesforceApi = new SalesforceApi(
            Salesforce,
            SalesforceTokens,
            SalesforceUsage,
            options.SalesforceClientId,
            options.SalesforceClientSecret,
            new JwtGrant(
                options.SalesforceCertificateFile,
                options.SalesforceClientId,
                SalesforceOrg.IntegrationUserName,
                clock
            ),
            clock,
            Faults,
            Calls,
            _log
        );
        SalesforceEvents = new PubSub(
            Salesforce,
            SalesforceTokens,
            TimeSpan.FromSeconds(options.SalesforceKeepaliveSeconds),
            clock,
            Faults,
            Calls
        );
        _tls = new LoopbackTls(TimeProvider.System);
        _salesforceEvents = new LoopbackServer(
            "Salesforce's events",
            static _ => Task.CompletedTask,
            loggers,
            new LoopbackLimits(MaxRawBytes),
            new LoopbackGrpc(
                _tls,
                services => services.AddSingleton(SalesforceEvents).AddGrpc(),
                app => app.MapGrpcService<PubSubService>()
            )
        );
        _stripe = new LoopbackServer("Stripe", stripe.Handle, loggers, new LoopbackLimits(StripeApi.MaxBodyBytes));
        _salesforce = new LoopbackServer(
            "Salesforce",
            _salesforceApi.Handle,
            loggers,
            new LoopbackLimits(SalesforceApi.MaxBodyBytes)
        );
        Vendors = new Dictionary<string, LoopbackServer>(StringComparer.Ordinal)
        {
            [StripeApi.Vendor] = _stripe,
            [SalesforceApi.Vendor] = _salesforce,
            [PubSub.Vendor] = _salesforceEvents,
        };

        var product = new ProductApi(Product, _log);
        var admin = new AdminApi(this, _log);
        var page = new PageApi(this);
        _product = new LoopbackServer(
            "product",
            async http =>
            {
                var answer = RawPath.Segments(http) switch
                {
                    _ when IsForeign(http.Request) => ProductApi.Error(403, "only pages of 127.0.0.1 may call this"),
                    null => ProductApi.Error(400, "the path is not UTF-8"),
                    ["sandbox", "page", "state"] when http.Request.Method == "GET" => await page.State(http),
                    ["sandbox", .. var path] => await admin.Handle(http, path),
                    var segments => PageApi.Find(http.Request.Method, segments) ?? await product.Handle(http, segments),
                };
                await answer.Write(http);
            },
            loggers,
            new LoopbackLimits(AdminApi.MaxBodyBytes)
        );
        _raw = new(() => EventDelivery.CreateProducer(BootstrapServers, MaxRawBytes));
    }

    public SandboxOptions Options { get; }
    public FaultBook Faults { get; }
    public CallBook Calls { get; } = new();
    public ProductCatalog Product { get; }
    public StripeAccount Stripe { get; }
    public StripeKeys StripeKeys { get; }
    public SalesforceOrg Salesforce { get; }
    public SalesforceTokens SalesforceTokens { get; }
    public SalesforceUsage SalesforceUsage { get; }
    public PubSub SalesforceEvents { get; }

    /// <summary>What applies the commands to the product; null without Kafka.</summary>
    public CommandConsumer? ProductCommands { get; private set; }

    /// <summary>Null when it was not asked for.</summary>
    public SandboxKafka? Kafka { get; private set; }
    public IReadOnlyDictionary<string, LoopbackServer> Vendors { get; }

    /// <summary>What the page reads of Sync; null where Sync does not run beside this sandbox. Disposed with it.</summary>
    public SyncViews? Views { get; set; }

    /// <summary>Systems that are real ones and not played here, by name.</summary>
    public IReadOnlyList<string> RealSystems { get; set; } = [];

    public Uri ProductAddress => _product.Address;
    public Uri StripeAddress => _stripe.Address;
    public Uri SalesforceAddress => _salesforce.Address;
    public Uri SalesforceEventsAddress => _salesforceEvents.Address;

    /// <summary>The certificate to trust there, a PEM file.</summary>
    public string SalesforceEventsCa => _tls.Path;

    public string BootstrapServers =>
        Kafka?.BootstrapServers ?? throw new InvalidOperationException("this sandbox was started without Kafka");

    /// <summary>Why nothing that happens here is to be trusted; null while it is.</summary>
    public string? NotReady =>
        Kafka?.Truncated is { Count: > 0 } lost
            ? $"Kafka has dropped records of {lost.Count} partitions: the embedded cluster keeps 5 MiB or 100,000 batches each"
            : null;

    /// <summary>Starts everything; ports that are 0 are picked.</summary>
    /// <param name="clock">What the strangers call now; the machine's time unless a test says otherwise.</param>
    public static async Task<SandboxHost> Start(
        SandboxOptions options,
        ILoggerFactory? loggers = null,
        TimeProvider? clock = null,
        CancellationToken cancellationToken = default
    )
    {
        if (options.Problems() is { Count: > 0 } problems)
            throw new InvalidOperationException(string.Join(Environment.NewLine, problems));
        var sandbox = new SandboxHost(options, loggers ?? NullLoggerFactory.Instance, clock ?? TimeProvider.System);
        try
        {
            await sandbox.Begin(cancellationToken);
            return sandbox;
        }
        catch
        {
            await sandbox.DisposeAsync();
            throw;
        }
    }

    /// <exception cref="FormatException">What is wrong with the order.</exception>
    public async Task<int> AddFault(FaultOrder order)
    {
        if (order.Problem(_operations) is { } problem)
            throw new FormatException(problem);
        var id = Faults.Add(order);
        if (order.Kind == FaultKind.Down)
            await Vendors[order.Vendor].Down();
        return id;
    }

    /// <summary>Takes faults back, and brings up what is down.</summary>
    public async Task ClearFaults(string? vendor = null)
    {
        Faults.Clear(vendor);
        foreach (var (name, server) in Vendors)
        {
            if (vendor is null || vendor == name)
                await server.Up();
        }
    }

    /// <summary>Takes one fault back, and brings its vendor up where nothing else holds it down.</summary>
    /// <returns>False when no fault that is on has this id.</returns>
    public async Task<bool> RemoveFault(int id)
    {
        if (Faults.Remove(id) is not { } order)
            return false;
        if (
            order.Kind == FaultKind.Down
            && !Faults.List().Any(f => f.Order.Kind == FaultKind.Down && f.Order.Vendor == order.Vendor)
        )
            await Vendors[order.Vendor].Up();
        return true;
    }

    /// <summary>Puts a record onto Kafka as it is.</summary>
    public async Task<TopicPartitionOffset> Produce(KafkaRecord record, CancellationToken cancellationToken = default)
    {
        if (Kafka is null || !Kafka.Topics.Contains(record.Topic))
            throw new FormatException($"topic: must be one of {string.Join(", ", Kafka?.Topics ?? [])}");
        if (record.Partition is { } wanted && (wanted < 0 || wanted >= Kafka.Partitions))
            throw new FormatException($"partition: must be 0 to {Kafka.Partitions - 1}");
        var placed = await _raw.Value.ProduceAsync(
            new TopicPartition(record.Topic, record.Partition ?? Partition.Any),
            record.Message!,
            cancellationToken
        );
        return placed.TopicPartitionOffset;
    }

    public async ValueTask DisposeAsync()
    {
        if (ProductCommands is not null)
            await ProductCommands.DisposeAsync();
        if (_events is not null)
            await _events.DisposeAsync();
        await _product.DisposeAsync();
        await _stripe.DisposeAsync();
        await _salesforce.DisposeAsync();
        await _salesforceEvents.DisposeAsync();
        SalesforceEvents.Dispose();
        _tls.Dispose();
        await Stripe.DisposeAsync();
        if (Views is not null)
            await Views.DisposeAsync();
        if (_raw.IsValueCreated)
            _raw.Value.Dispose();
        if (Kafka is not null)
            await Kafka.DisposeAsync();
    }

    /// <summary>A page of another site, open in a browser on this machine, must not reach what is on loopback.</summary>
    static bool IsForeign(HttpRequest request) =>
        request.Host.Host is not ("127.0.0.1" or "localhost")
        || (request.Headers.Origin is [{ Length: > 0 } origin] && origin != $"http://{request.Host}");

    async Task Begin(CancellationToken cancellationToken)
    {
        if (Options.Kafka)
        {
            Kafka = new SandboxKafka(Options.KafkaPort, TopicNames(), Options.Partitions, _log);
            _events = new EventDelivery(Product.Outbox, BootstrapServers, _log);
            ProductCommands = new CommandConsumer(Product, BootstrapServers, Options.Partitions, _log);
        }

        await _stripe.Start(Options.StripePort, cancellationToken);
        await _salesforce.Start(Options.SalesforcePort, cancellationToken);
        _salesforceApi.Instance = SalesforceAddress;
        await _salesforceEvents.Start(Options.SalesforceEventsPort, cancellationToken);
        await _product.Start(Options.ProductPort, cancellationToken);
        _log.Ready(
            ProductAddress.ToString(),
            StripeAddress.ToString(),
            SalesforceAddress.ToString(),
            SalesforceEventsAddress.ToString(),
            Kafka?.BootstrapServers
        );
    }

    string[] TopicNames() =>
        [
            Topics.Customers,
            Topics.CustomerCommands,
            Topics.Requests,
            Topics.DeadLetters,
            .. Options
                .Systems.Split(',')
                .Distinct(StringComparer.Ordinal)
                .SelectMany(system => new[] { Topics.Commands(system), Topics.Reports(system) }),
        ];
}
