using System.Globalization;

namespace Sync.Benchmarks.Figures;

/// <summary>Several measurements of one thing: the middle one, the smallest and the largest. An average would hide a bad one.</summary>
sealed record Spread(double Median, double Least, double Most, int Rounds)
{
    /// <returns>Null when nothing was measured.</returns>
    public static Spread? Of(IEnumerable<double?> values)
    {
        var sorted = values.OfType<double>().Order().ToList();
        return sorted.Count == 0 ? null : new(Percentile(sorted, 0.5), sorted[0], sorted[^1], sorted.Count);
    }

    /// <summary>The nearest rank: a value that was measured, never one between two. The median of two is the lower one.</summary>
    public static double Percentile(IReadOnlyCollection<double> values, double share)
    {
        if (values.Count == 0)
            return double.NaN;
        var sorted = values.Order().ToList();
        return sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Count) - 1)];
    }

    public string Text(string format = "N0") =>
        Rounds == 1
            ? Number(Median, format)
            : $"{Number(Median, format)} ({Number(Least, format)}–{Number(Most, format)})";

    public static string Number(double value, string format = "N0") =>
        value.ToString(format, CultureInfo.InvariantCulture);
}
