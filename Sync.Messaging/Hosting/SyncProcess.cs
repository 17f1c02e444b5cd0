using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Sync.Messaging.Hosting;

/// <summary>The frame of every process: settings from the environment only, logs, telemetry, management port, verbs.</summary>
public static class SyncProcess
{
    /// <summary>Everything ended as asked.</summary>
    public const int Succeeded = 0;

    /// <summary>Something failed that nobody foresaw; a restart may heal it.</summary>
    public const int FailedUnexpectedly = 1;

    /// <summary>Settings, database or topics are not as they must be; only a person heals it. Each fault is named.</summary>
    public const int Refused = 2;

    public static HostApplicationBuilder CreateBuilder(string[] args, ProcessIdentity identity)
    {
        MessagingTables.CheckedSchema(identity.Schema);
        var builder = Host.CreateEmptyApplicationBuilder(
            new HostApplicationBuilderSettings { ApplicationName = $"sync-{identity.Name}", Args = [] }
        );
        builder.Configuration.AddEnvironmentVariables();
        builder.Services.AddSingleton(identity);
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSettings<ManagementOptions>(ManagementOptions.Section);
        builder.Services.AddSettings<ReplicaOptions>(ReplicaOptions.Section);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(30));
        builder.AddTelemetry(identity);
        builder.Services.AddSingleton<HealthBoard>();
        builder.Services.AddSingleton<HealthReport>();
        // First, so that it starts before everything else and stops after it.
        builder.Services.AddSingleton<ManagementServer>();
        builder.Services.AddHostedService(p => p.GetRequiredService<ManagementServer>());
        return builder;
    }

    /// <summary>Runs until the process is told to stop, or the verb that <paramref name="args"/> name. Answers the exit code.</summary>
    public static async Task<int> Run(HostApplicationBuilder builder, string[] args)
    {
        using var host = builder.Build();
        var loggers = host.Services.GetRequiredService<ILoggerFactory>();
        var logger = loggers.CreateLogger("Sync.Messaging.Hosting");
        AppDomain.CurrentDomain.UnhandledException += OnUnhandled;
        TaskScheduler.UnobservedTaskException += OnUnobserved;
        try
        {
            switch (args)
            {
                case []:
                    host.Services.GetService<IStartupValidator>()?.Validate();
                    await host.RunAsync();
                    return Succeeded;
                case ["migrate"]:
                    await host.Services.GetRequiredService<ISchemaMigration>().Apply(CancellationToken.None);
                    return Succeeded;
                case ["topics"]:
                    await host.Services.GetRequiredService<TopicCreation>().Create(CancellationToken.None);
                    return Succeeded;
                default:
                    throw new StartRefusedException("unknown verb; there are migrate and topics, and none to run");
            }
        }
        catch (Exception e) when (Faults(e) is { Count: > 0 } faults)
        {
            foreach (var fault in faults)
                logger.StartRefused(fault);
            return Refused;
        }
        catch (Exception e)
        {
            logger.Failed(e);
            return FailedUnexpectedly;
        }
        finally
        {
            AppDomain.CurrentDomain.UnhandledException -= OnUnhandled;
            TaskScheduler.UnobservedTaskException -= OnUnobserved;
        }

        // The runtime would print the exception's text, which may hold a value of a message.
        void OnUnhandled(object sender, UnhandledExceptionEventArgs e)
        {
            if (e.ExceptionObject is Exception exception)
                logger.Failed(exception);
            loggers.Dispose();
            Environment.Exit(FailedUnexpectedly);
        }

        void OnUnobserved(object? sender, UnobservedTaskExceptionEventArgs e)
        {
            logger.Unobserved(e.Exception);
            e.SetObserved();
        }
    }

    /// <summary>What a person has to put right, each on its own; empty for every other failure.</summary>
    static IReadOnlyList<string> Faults(Exception exception) =>
        exception switch
        {
            OptionsValidationException options => [.. options.Failures],
            StartRefusedException refused => refused.Faults,
            AggregateException all when all.InnerExceptions.All(e => Faults(e).Count > 0) =>
            [
                .. all.InnerExceptions.SelectMany(Faults),
            ],
            _ => [],
        };
}
