using System.Globalization;
using System.Runtime.InteropServices;
using Npgsql;

namespace Sync.Benchmarks.Figures;

/// <summary>What the figures were measured on, and whether anybody else was at work there.</summary>
sealed record Machine(
    string Processor,
    int Cores,
    double MemoryGb,
    string System,
    string Runtime,
    string Postgres,
    double BusyPercent,
    double Load
)
{
    /// <summary>Above this share of all cores, taken by others before anything is measured, figures are not to be quoted.</summary>
    const double IdleBelowPercent = 10;

    static readonly TimeSpan Look = TimeSpan.FromSeconds(3);

    /// <summary>
    /// The load average still remembers the build that came before; what counts is how busy the cores are while this program
    /// does nothing.
    /// </summary>
    public bool IsIdle => BusyPercent < IdleBelowPercent;

    public static async Task<Machine> Describe(string postgres, CancellationToken cancellationToken)
    {
        var before = Ticks();
        await Task.Delay(Look, cancellationToken);
        var after = Ticks();
        var all = after.All - before.All;
        var busy = all == 0 ? 0 : 100 * (1 - ((after.Idle - before.Idle) / (double)all));
        return new(
            Processor: First("/proc/cpuinfo", "model name") ?? $"{RuntimeInformation.ProcessArchitecture}",
            Environment.ProcessorCount,
            Math.Round(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1024.0 / 1024 / 1024, 1),
            RuntimeInformation.OSDescription,
            RuntimeInformation.FrameworkDescription,
            await Server(postgres, cancellationToken),
            Math.Round(busy, 1),
            double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture)
        );
    }

    public override string ToString() =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Cores} cores of {Processor}, {MemoryGb} GB, {System}, {Runtime}; {Postgres}. Others took {BusyPercent} % of the cores before the start (load average {Load})"
        );

    static async Task<string> Server(string postgres, CancellationToken cancellationToken)
    {
        await using var source = NpgsqlDataSource.Create(postgres);
        var settings = new List<string>();
        foreach (
            var name in (string[])
                ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers"]
        )
        {
            await using var command = source.CreateCommand($"show {name}");
            settings.Add($"{name} {await command.ExecuteScalarAsync(cancellationToken)}");
        }

        return $"PostgreSQL on the same machine, {string.Join(", ", settings)}";
    }

    /// <summary>Ticks of all cores since the start of the machine: all, and those without work.</summary>
    static (long All, long Idle) Ticks()
    {
        var ticks = First("/proc/stat", "cpu ", separator: ' ')!
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(t => long.Parse(t, CultureInfo.InvariantCulture))
            .ToList();
        // user nice system idle iowait irq softirq steal; guests are in user already.
        return (ticks.Take(8).Sum(), ticks[3] + ticks[4]);
    }

    static string? First(string file, string name, char separator = ':') =>
        File.Exists(file)
            ? File.ReadLines(file)
                .Where(line => line.StartsWith(name, StringComparison.Ordinal))
                .Select(line => line[(line.IndexOf(separator, StringComparison.Ordinal) + 1)..].Trim())
                .FirstOrDefault()
            : null;
}
