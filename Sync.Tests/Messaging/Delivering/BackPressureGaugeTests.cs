using Sync.Messaging.Outbox;

namespace Sync.Tests.Messaging.Delivering;

public sealed class BackPressureGaugeTests
{
    const long Gib = 1024L * 1024 * 1024;

    static Load Rows(long rows, long bytes = 0, long databaseBytes = 0) => new(rows, bytes, databaseBytes, []);

    [Fact]
    public void It_is_on_above_the_limit_and_off_at_half_of_it()
    {
        var gauge = new BackPressureGauge(0);

        Assert.Null(gauge.Judge(Rows(200_000)));
        Assert.Equal("the outbox holds 200001 rows", gauge.Judge(Rows(200_001)));
        Assert.NotNull(gauge.Judge(Rows(100_001)));
        Assert.True(gauge.IsOn);
        Assert.Null(gauge.Judge(Rows(100_000)));
        Assert.Null(gauge.Judge(Rows(200_000)));
        Assert.False(gauge.IsOn);
    }

    [Fact]
    public void Dead_rows_on_disk_do_not_hold_a_process_that_has_nothing_to_send()
    {
        var gauge = new BackPressureGauge(0);

        Assert.NotNull(gauge.Judge(Rows(50_000, Gib)));
        Assert.NotNull(gauge.Judge(Rows(6_000, Gib)));
        Assert.Null(gauge.Judge(Rows(0, Gib)));
        Assert.Null(gauge.Judge(Rows(9_000, Gib)));
    }

    [Fact]
    public void A_queue_beside_the_outbox_and_a_limit_for_the_database_count_as_well()
    {
        var gauge = new BackPressureGauge(Gib);

        Assert.Equal("work holds 200001 rows", gauge.Judge(new(0, 0, 0, [("work", 200_001)])));
        Assert.Null(gauge.Judge(Rows(0)));
        Assert.Equal($"the database takes {Gib + 1} bytes", gauge.Judge(Rows(0, 0, Gib + 1)));
        Assert.NotNull(gauge.Judge(Rows(0, 0, Gib / 2 + 1)));
        Assert.Null(gauge.Judge(Rows(0, 0, Gib / 2)));
    }
}
