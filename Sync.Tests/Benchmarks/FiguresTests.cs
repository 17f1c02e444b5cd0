using Sync.Benchmarks.Figures;

namespace Sync.Tests.Benchmarks;

public sealed class FiguresTests
{
    [Fact]
    public void A_percentile_is_a_value_that_was_measured()
    {
        double[] values = [5, 1, 4, 2, 3];

        Assert.Equal(3, Spread.Percentile(values, 0.5));
        Assert.Equal(5, Spread.Percentile(values, 0.99));
        Assert.Equal(1, Spread.Percentile(values, 0.01));
        Assert.Equal(1, Spread.Percentile([1, 2], 0.5));
        Assert.True(double.IsNaN(Spread.Percentile([], 0.5)));
    }

    [Fact]
    public void Several_rounds_are_shown_by_median_and_range()
    {
        Assert.Equal("2,000 (1,000–4,000)", Spread.Of([4_000, 1_000, 2_000, null])!.Text());
        Assert.Equal("1.50", Spread.Of([1.5])!.Text("N2"));
        Assert.Null(Spread.Of([null]));
    }

    [Fact]
    public void A_chapter_that_is_measured_again_takes_the_place_of_its_last_run_and_of_nothing_else()
    {
        var page = Report.Replace("# Figures\n\nHead.\n", "kernel", "kernel 1\n");
        page = Report.Replace(page, "scale", "scale 1\n");

        var again = Report.Replace(page, "kernel", "kernel 2\n");

        Assert.Equal(page.Replace("kernel 1", "kernel 2", StringComparison.Ordinal), again);
        Assert.Equal(page, Report.Replace(again, "kernel", "kernel 1\n"));
        Assert.StartsWith("# Figures\n\nHead.\n\n<!-- bench kernel -->\n", page, StringComparison.Ordinal);
    }

    [Fact]
    public void A_chapter_says_what_failed_and_that_the_machine_was_not_idle()
    {
        var chapter = new Chapter(
            "kernel",
            "The kernel",
            "Like this.",
            [
                new(
                    "Rates",
                    ["", "events/s"],
                    [
                        ["(a)", "1"],
                    ]
                )
                {
                    Notes = ["A note."],
                },
            ],
            new { }
        )
        {
            Failures = ["The gate did not hold"],
        };
        var busy = new Machine("a processor", 2, 8, "Linux", ".NET", "PostgreSQL", BusyPercent: 50, Load: 3);

        var text = Report.Text(chapter, busy, new DateTimeOffset(2026, 11, 24, 12, 0, 0, TimeSpan.Zero));

        Assert.Contains("| (a) | 1 |", text, StringComparison.Ordinal);
        Assert.Contains("A note.", text, StringComparison.Ordinal);
        Assert.Contains("**The gate did not hold**", text, StringComparison.Ordinal);
        Assert.Contains("not to be quoted", text, StringComparison.Ordinal);
        Assert.DoesNotContain(
            "not to be quoted",
            Report.Text(chapter, busy with { BusyPercent = 1 }, DateTimeOffset.UnixEpoch),
            StringComparison.Ordinal
        );
    }
}
