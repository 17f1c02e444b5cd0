using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sync.Sandbox.Page;

namespace Sync.Sandbox;

/// <summary><c>serve</c>: the strangers, until they are told to stop. The ready line goes to stdout, the log to stderr.</summary>
static class ServeCommand
{
    public static Command Create()
    {
        var command = new Command(
            "serve",
            "Plays the product, Stripe, Salesforce and Kafka on 127.0.0.1; prints one line of JSON with the addresses when ready"
        );
        command.SetAction((_, cancellationToken) => Run(cancellationToken));
        return command;
    }

    static async Task<int> Run(CancellationToken cancellationToken)
    {
        var configuration = new ConfigurationBuilder().AddEnvironmentVariables().Build();
        SandboxOptions options;
        try
        {
            options = configuration.GetSection(SandboxOptions.Section).Get<SandboxOptions>() ?? new SandboxOptions();
        }
        catch (InvalidOperationException wrong)
        {
            return await Refuse([wrong.Message]);
        }

        var problems = options.Problems().ToList();
        if (await StartGuard.Problem(configuration["Database:Url"], cancellationToken) is { } remembered)
            problems.Add(remembered);
        if (problems.Count > 0)
            return await Refuse(problems);

        using var loggers = LoggerFactory.Create(logging =>
            logging
                .AddConfiguration(configuration.GetSection("Logging"))
                .AddFilter("Microsoft", LogLevel.Warning)
                .AddJsonConsole(console => console.UseUtcTimestamp = true)
                .Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console =>
                    console.LogToStandardErrorThreshold = LogLevel.Trace
                )
        );
        SandboxHost sandbox;
        try
        {
            sandbox = await SandboxHost.Start(options, loggers, cancellationToken: cancellationToken);
        }
        catch (InvalidOperationException refused)
        {
            return await Refuse([refused.Message]);
        }

        await using (sandbox)
        {
            if (configuration["Database:Url"] is { Length: > 0 } database)
                sandbox.Views = new SyncViews(database);
            await Console.Out.WriteLineAsync(Ready(sandbox));
            await Console.Out.FlushAsync(CancellationToken.None);
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            }
            catch (OperationCanceledException) { }
        }

        return 0;
    }

    /// <summary>What the other processes need to know, in the names of their settings' values.</summary>
    static string Ready(SandboxHost sandbox) =>
        JsonSerializer.Serialize(
            new JsonObject
            {
                ["product"] = Address(sandbox.ProductAddress),
                ["stripe"] = Address(sandbox.StripeAddress),
                ["stripeApiKey"] = sandbox.Options.StripeApiKey,
                ["salesforce"] = Address(sandbox.SalesforceAddress),
                ["salesforceClientId"] = sandbox.Options.SalesforceClientId,
                ["salesforceClientSecret"] = sandbox.Options.SalesforceClientSecret,
                ["salesforceEvents"] = Address(sandbox.SalesforceEventsAddress),
                ["salesforceEventsCa"] = sandbox.SalesforceEventsCa,
                ["kafka"] = sandbox.Kafka?.BootstrapServers,
            }
        );

    static string Address(Uri address) => address.GetLeftPart(UriPartial.Authority);

    static async Task<int> Refuse(IEnumerable<string> problems)
    {
        foreach (var problem in problems)
            await Console.Error.WriteLineAsync($"sandbox: {problem}");
        return 78; // EX_CONFIG
    }
}
