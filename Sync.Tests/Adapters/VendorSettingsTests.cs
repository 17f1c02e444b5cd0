using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Sync.Adapter.Hosting;
using Sync.Adapter.Vendors;
using Sync.Mapping;
using Sync.Messaging.Hosting;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Storage;
using Sync.Stripe.Adapter;
using Sync.Stripe.Adapter.Storage;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters;

/// <summary>What an adapter is started with: everything wrong is said at once, and no secret with it.</summary>
public sealed class VendorSettingsTests
{
    [Fact]
    public void Stripe_s_settings_and_mapping_faults_are_named_together_and_no_secret_with_them()
    {
        var faults = Faults(
            services => services.AddStripe(),
            TestMapping.Of("stripe", "\"name\": { \"to\": \"fullname\" }"),
            ("Stripe:ApiKey", "sk_test_with space"),
            ("Stripe:ApiBase", "ftp://example.com"),
            ("Stripe:WritesPerSecond", "0"),
            ("Stripe:ReadsPerSecond", "many"),
            ("Stripe:MaxConcurrent", "0"),
            ("Stripe:TimeoutSeconds", "100")
        );

        Assert.Equal(7, faults.Count);
        foreach (
            var name in (string[])
                ["APIKEY", "APIBASE", "WRITESPERSECOND", "READSPERSECOND", "MAXCONCURRENT", "TIMEOUTSECONDS"]
        )
            Assert.Single(faults, f => f.StartsWith($"STRIPE__{name}: ", StringComparison.Ordinal));
        Assert.Single(faults, f => f.StartsWith("systems.json: ", StringComparison.Ordinal));
        Assert.DoesNotContain("sk_test", string.Join('\n', faults), StringComparison.Ordinal);
    }

    [Fact]
    public void Salesforce_s_settings_and_mapping_faults_are_named_together_and_no_secret_with_them()
    {
        var faults = Faults(
            services => services.AddSalesforce(),
            TestMapping.Of("salesforce", "\"name\": { \"to\": \"Nam\" }"),
            ("Salesforce:LoginUrl", "https://login.salesforce.com"),
            ("Salesforce:ClientSecret", "hush"),
            ("Salesforce:ApiVersion", "66"),
            ("Salesforce:MaxConcurrent", "0"),
            ("Salesforce:TimeoutSeconds", "0")
        );

        Assert.Equal(7, faults.Count);
        foreach (var name in (string[])["LOGINURL", "CLIENTID", "APIVERSION", "MAXCONCURRENT", "TIMEOUTSECONDS"])
            Assert.Single(faults, f => f.StartsWith($"SALESFORCE__{name}: ", StringComparison.Ordinal));
        Assert.Equal(2, faults.Count(f => f.StartsWith("systems.json: ", StringComparison.Ordinal)));
        Assert.Contains(faults, f => f.Contains("my.salesforce.com", StringComparison.Ordinal));
        Assert.DoesNotContain("hush", string.Join('\n', faults), StringComparison.Ordinal);
    }

    [Fact]
    public void Salesforce_s_feed_is_checked_at_start_too()
    {
        var faults = Faults(
            services => services.AddSalesforce(),
            TestMapping.Shipped,
            ("Salesforce:LoginUrl", "https://acme.my.salesforce.com"),
            ("Salesforce:ClientId", "id"),
            ("Salesforce:ClientSecret", "hush"),
            ("Salesforce:Feed", "polling"),
            ("Salesforce:PubSubUrl", "http://api.pubsub.salesforce.com"),
            ("Salesforce:PubSubCa", Path.Combine(Repository.Root, "README.md")),
            ("Salesforce:Channel", "AccountChangeEvent"),
            ("Salesforce:SilenceSeconds", "1"),
            ("Salesforce:SweepSeconds", "0"),
            ("Salesforce:SweepOverlapSeconds", "-1")
        );

        Assert.Equal(7, faults.Count);
        foreach (
            var name in (string[])
                ["FEED", "PUBSUBURL", "PUBSUBCA", "CHANNEL", "SILENCESECONDS", "SWEEPSECONDS", "SWEEPOVERLAPSECONDS"]
        )
            Assert.Single(faults, f => f.StartsWith($"SALESFORCE__{name}: ", StringComparison.Ordinal));
    }

    [Fact]
    public void Signing_in_by_a_key_is_checked_at_start_and_needs_no_secret()
    {
        string[] Of(params (string, string)[] settings) =>
            [
                .. Faults(
                    services => services.AddSalesforce(),
                    TestMapping.Shipped,
                    [
                        ("Salesforce:LoginUrl", "https://login.salesforce.com"),
                        ("Salesforce:ClientId", "id"),
                        .. settings,
                    ]
                ),
            ];

        Assert.Equal(
            ["SALESFORCE__CLIENTSECRET", "SALESFORCE__LOGINURL"],
            Of().Select(f => f.Split(':')[0]).Order(StringComparer.Ordinal)
        );
        Assert.Equal(
            [
                "SALESFORCE__CLIENTSECRET",
                "SALESFORCE__JWTAUDIENCE",
                "SALESFORCE__JWTKEYFILE",
                "SALESFORCE__RESERVEPERCENT",
                "SALESFORCE__USERNAME",
            ],
            Of(
                    ("Salesforce:JwtKeyFile", Path.Combine(Repository.Root, "README.md")),
                    ("Salesforce:JwtAudience", "nowhere"),
                    ("Salesforce:ClientSecret", "hush"),
                    ("Salesforce:ReservePercent", "100")
                )
                .Select(f => f.Split(':')[0])
                .Order(StringComparer.Ordinal)
        );

        using var key = System.Security.Cryptography.RSA.Create(2048);
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, key.ExportRSAPublicKeyPem());
            Assert.Contains(
                "unencrypted RSA key",
                Assert.Single(Of(("Salesforce:JwtKeyFile", file), ("Salesforce:UserName", "u"))),
                StringComparison.Ordinal
            );
            File.WriteAllText(file, key.ExportPkcs8PrivateKeyPem());
            using var services = Services(
                s => s.AddSalesforce(),
                TestMapping.Shipped,
                ("Salesforce:LoginUrl", "https://login.salesforce.com"),
                ("Salesforce:ClientId", "id"),
                ("Salesforce:JwtKeyFile", file),
                ("Salesforce:UserName", "u")
            );
            services.GetRequiredService<IStartupValidator>().Validate();
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void Good_settings_give_a_vendor()
    {
        using var stripe = Services(
            services => services.AddStripe(),
            TestMapping.Shipped,
            ("Stripe:ApiKey", "sk_test_x")
        );
        using var salesforce = Services(
            services => services.AddSalesforce(),
            TestMapping.Shipped,
            ("Salesforce:LoginUrl", "https://acme.my.salesforce.com"),
            ("Salesforce:ClientId", "id"),
            ("Salesforce:ClientSecret", "hush")
        );

        stripe.GetRequiredService<IStartupValidator>().Validate();
        salesforce.GetRequiredService<IStartupValidator>().Validate();

        Assert.Equal("stripe", stripe.GetRequiredService<IVendor>().Name);
        Assert.Equal("salesforce", salesforce.GetRequiredService<IVendor>().Name);
    }

    [Theory]
    [InlineData("stripe")]
    [InlineData("salesforce")]
    public async Task An_adapter_without_settings_refuses_to_start(string system) =>
        Assert.Equal(SyncProcess.Refused, await SyncProcess.Run(Process(system), []));

    /// <summary>A broken mapping file hides no fault of the settings, and is no crash.</summary>
    [Theory]
    [InlineData("stripe")]
    [InlineData("salesforce")]
    public void An_adapter_whose_mapping_is_nowhere_refuses_to_start(string system)
    {
        using var host = Process(system, ("Sync:Config", "/nowhere")).Build();

        var refused = Assert.Throws<AggregateException>(() =>
            host.Services.GetRequiredService<IStartupValidator>().Validate()
        );

        Assert.All(refused.InnerExceptions, e => Assert.IsType<OptionsValidationException>(e));
        Assert.Contains("/nowhere", refused.ToString(), StringComparison.Ordinal);
        Assert.Contains($"{system.ToUpperInvariant()}__", refused.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("stripe")]
    [InlineData("salesforce")]
    public void Every_part_of_the_process_can_be_made(string system)
    {
        using var host = Process(
                system,
                ("Sync:Config", Path.Combine(Repository.Root, "config")),
                ("Kafka:Bootstrap", "127.0.0.1:1"),
                ("Database:Url", "Host=127.0.0.1;Port=1;Database=x;Username=x"),
                ("Sync:Replica", "one"),
                ("Stripe:ApiKey", "sk_test_x"),
                ("Salesforce:LoginUrl", "https://acme.my.salesforce.com"),
                ("Salesforce:ClientId", "id"),
                ("Salesforce:ClientSecret", "hush")
            )
            .Build();

        host.Services.GetRequiredService<IStartupValidator>().Validate();

        Assert.NotEmpty(host.Services.GetServices<IHostedService>());
        Assert.Equal(system, host.Services.GetRequiredService<IVendor>().Name);
    }

    [Theory]
    [InlineData("stripe")]
    [InlineData("salesforce")]
    public async Task The_first_migration_makes_the_schema_and_takes_it_away(string schema)
    {
        await using var database = await TestPostgres.Create();
        await using var context = Context(schema, database.ConnectionString);

        await context.Database.MigrateAsync(TestContext.Current.CancellationToken);
        var made = await Tables();
        await context.Database.MigrateAsync("0", TestContext.Current.CancellationToken);

        Assert.Subset(made.ToHashSet(), new HashSet<string> { "link", "work", "ledger", "outbox", "consumer_offset" });
        Assert.Equal(["migrations_history"], await Tables());

        async Task<List<string>> Tables()
        {
            List<string> tables = [];
            await using var command = database.DataSource.CreateCommand(
                "select table_name from information_schema.tables where table_schema = $1"
            );
            command.Parameters.Add(new() { Value = schema });
            await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
            while (await reader.ReadAsync(TestContext.Current.CancellationToken))
                tables.Add(reader.GetString(0));
            return tables;
        }
    }

    static HostApplicationBuilder Process(string system, params (string Name, string Value)[] settings)
    {
        var builder =
            system == StripeDb.Schema
                ? AdapterHost.CreateBuilder<StripeDb>([], system, services => services.AddStripe())
                : AdapterHost.CreateBuilder<SalesforceDb>([], system, services => services.AddSalesforce());
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection(settings.ToDictionary(s => s.Name, s => (string?)s.Value));
        return builder;
    }

    static DbContext Context(string schema, string connection)
    {
        if (schema == StripeDb.Schema)
        {
            var stripe = new DbContextOptionsBuilder<StripeDb>();
            stripe.UseSyncPostgres(connection, schema);
            return new StripeDb(stripe.Options);
        }

        var salesforce = new DbContextOptionsBuilder<SalesforceDb>();
        salesforce.UseSyncPostgres(connection, schema);
        return new SalesforceDb(salesforce.Options);
    }

    static List<string> Faults(
        Action<IServiceCollection> add,
        SyncConfig config,
        params (string Name, string Value)[] settings
    )
    {
        using var services = Services(add, config, settings);
        return
        [
            .. Assert
                .Throws<OptionsValidationException>(() => services.GetRequiredService<IStartupValidator>().Validate())
                .Failures,
        ];
    }

    static ServiceProvider Services(
        Action<IServiceCollection> add,
        SyncConfig config,
        params (string Name, string Value)[] settings
    )
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton(config);
        services.AddSingleton<IConfiguration>(
            new ConfigurationBuilder()
                .AddInMemoryCollection(settings.ToDictionary(s => s.Name, s => (string?)s.Value))
                .Build()
        );
        add(services);
        return services.BuildServiceProvider();
    }
}
