using System.Diagnostics.Tracing;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing.Etlx;
using Microsoft.Diagnostics.Tracing.EventPipe;
using Microsoft.Diagnostics.Tracing.Parsers;
using Microsoft.Diagnostics.Tracing.Parsers.Clr;
using Sync.Benchmarks.Figures;

namespace Sync.Benchmarks.Kernel;

/// <summary>Where the kernel's processor time goes: stacks of all threads, a thousand times a second.</summary>
sealed class ProfileBenchmark(string postgres, string logFolder, Progress progress)
{
    const int TopMethods = 20;

    /// <summary>To whom a stack belongs: the first frame from its end whose method begins with one of these.</summary>
    static readonly (string Start, string Part)[] Parts =
    [
        ("Sync.Benchmarks.", "the benchmark's saga"),
        ("Sync.Messaging.Outbox.", "kernel: outbox"),
        ("Sync.Messaging.Wire.", "kernel: decoding and encoding"),
        ("Sync.Messaging.", "kernel: everything else"),
        ("MassTransit.", "MassTransit"),
        ("System.Text.Json.", "System.Text.Json"),
        ("Npgsql.", "Npgsql"),
        ("Microsoft.EntityFrameworkCore.", "EF Core"),
        ("Confluent.Kafka.", "Confluent.Kafka"),
        ("OpenTelemetry.", "telemetry"),
        ("System.Diagnostics.Activity", "telemetry"),
        ("System.Diagnostics.Metrics.", "telemetry"),
        ("System.Diagnostics.DiagnosticSource", "telemetry"),
        ("Microsoft.Extensions.DependencyInjection.", "dependency injection"),
        ("Microsoft.Extensions.Logging.", "logging"),
    ];

    public async Task<Chapter> Run(bool quick, CancellationToken cancellationToken)
    {
        var file = Path.Combine(logFolder, "kernel.nettrace");
        await using var sink = await TelemetrySink.Start();
        var result = await progress.Show(
            "profile of (a) this kernel, keys all distinct",
            show =>
                new Round(postgres, logFolder, sink.Address).Run(
                    new RoundPlan(Contender.Kernel, KeyShape.Distinct, quick ? 20_000 : 120_000),
                    show,
                    cancellationToken,
                    pid => Record(pid, file, TimeSpan.FromSeconds(quick ? 3 : 10), cancellationToken)
                )
        );
        var profile = Read(file);
        return Chapter(profile, result);
    }

    static async Task Record(int pid, string file, TimeSpan time, CancellationToken cancellationToken)
    {
        var client = new DiagnosticsClient(pid);
        using var session = await client.StartEventPipeSessionAsync(
            [
                new EventPipeProvider("Microsoft-DotNETCore-SampleProfiler", EventLevel.Informational),
                // Names of methods come at the end of the session.
                new EventPipeProvider(
                    "Microsoft-Windows-DotNETRuntime",
                    EventLevel.Informational,
                    (long)ClrTraceEventParser.Keywords.Default
                ),
            ],
            requestRundown: true,
            circularBufferMB: 512,
            cancellationToken
        );
        await using var stream = File.Create(file);
        var copying = session.EventStream.CopyToAsync(stream, cancellationToken);
        await Task.Delay(time, cancellationToken);
        await session.StopAsync(cancellationToken);
        await copying;
    }

    static Profile Read(string file)
    {
        var parts = new Dictionary<string, int>(StringComparer.Ordinal);
        var methods = new Dictionary<string, int>(StringComparer.Ordinal);
        var (managed, all) = (0, 0);
        using var log = new TraceLog(TraceLog.CreateFromEventPipeDataFile(file));
        using var source = log.Events.GetSource();
        new SampleProfilerTraceEventParser(source).ThreadSample += sample =>
        {
            all++;
            // The others are waiting, or in native code, which cannot be told apart here.
            if (sample.Type != ClrThreadSampleType.Managed)
                return;
            managed++;
            string? part = null;
            var seen = new HashSet<string>(StringComparer.Ordinal);
            for (var frame = sample.CallStack(); frame is not null; frame = frame.Caller)
            {
                var name = frame.CodeAddress.FullMethodName;
                if (string.IsNullOrEmpty(name))
                    continue;
                var match = Parts.FirstOrDefault(p => name.StartsWith(p.Start, StringComparison.Ordinal)).Part;
                part ??= match;
                if (match is not null)
                    seen.Add(Short(name));
            }

            part ??= "runtime and library code on no stack of these";
            parts[part] = parts.GetValueOrDefault(part) + 1;
            foreach (var name in seen)
                methods[name] = methods.GetValueOrDefault(name) + 1;
        };
        source.Process();
        return new(all, managed, Shares(parts, managed), Shares(methods, managed));
    }

    static List<KeyValuePair<string, double>> Shares(Dictionary<string, int> counts, int of) =>
        [.. counts.OrderByDescending(c => c.Value).Select(c => KeyValuePair.Create(c.Key, 100.0 * c.Value / of))];

    /// <summary>Without parameters, and without the compiler's names for parts of one method.</summary>
    static string Short(string name)
    {
        name = name.Split('(')[0];
        var generated = name.IndexOf('<', StringComparison.Ordinal);
        var end = name.IndexOf(">d__", StringComparison.Ordinal);
        return generated >= 0 && end > generated ? name[..generated] + name[(generated + 1)..end] : name;
    }

    static Chapter Chapter(Profile profile, RoundResult result) =>
        new(
            "profile",
            "Where the kernel's time goes",
            "Contender (a), saturated, keys all distinct: stacks of all threads a thousand times a second, those that run managed "
                + $"code ({Spread.Number(profile.Managed)} of {Spread.Number(profile.All)}; the others wait, or are in librdkafka or the system). "
                + "Library code counts for who called it. The profiler slows what it looks at: shares are worth something, times are not.",
            [
                new(
                    "By part",
                    ["", "share, %"],
                    [.. profile.Parts.Select(p => (IReadOnlyList<string>)[p.Key, Spread.Number(p.Value, "N1")])]
                ),
                new(
                    "By method, with everything that it calls",
                    ["", "share, %"],
                    [
                        .. profile
                            .Methods.Take(TopMethods)
                            .Select(m => (IReadOnlyList<string>)[$"`{m.Key}`", Spread.Number(m.Value, "N1")]),
                    ]
                ),
            ],
            new
            {
                profile.All,
                profile.Managed,
                profile.Parts,
                Methods = profile.Methods.Take(100),
            }
        )
        {
            Failures = result.Faults,
        };

    sealed record Profile(
        int All,
        int Managed,
        List<KeyValuePair<string, double>> Parts,
        List<KeyValuePair<string, double>> Methods
    );
}
