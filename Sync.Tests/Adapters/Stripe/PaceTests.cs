using Microsoft.Extensions.Time.Testing;
using Sync.Stripe.Adapter.Client;

namespace Sync.Tests.Adapters.Stripe;

/// <summary>How often Stripe is called: a rate that all replicas keep together.</summary>
public sealed class PaceTests
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData(20, 1.0, 20)]
    [InlineData(20, 0.5, 10)]
    [InlineData(20, 0.25, 5)]
    [InlineData(100, 1.0, 100)]
    public void A_replica_calls_as_often_as_its_share_of_the_partitions_allows(
        int perSecond,
        double share,
        int expected
    )
    {
        var pace = new Pace(perSecond, () => share, _time);

        // What may go in the first ten seconds, and the few that may go at once.
        var placed = 0;
        while (pace.Take(TimeSpan.FromSeconds(10)) is not null)
            placed++;

        Assert.InRange(placed, 10 * expected, (10 * expected) + Math.Max(1, expected / 10) + 1);
    }

    [Fact]
    public void Replicas_together_stay_below_what_one_may()
    {
        double[] shares = [0.5, 0.3, 0.2];
        var placed = shares.Sum(share =>
        {
            var pace = new Pace(20, () => share, _time);
            var n = 0;
            while (pace.Take(TimeSpan.FromSeconds(30)) is not null)
                n++;
            return n;
        });

        Assert.InRange(placed, 600, 600 + 7);
    }

    [Fact]
    public void Partitions_that_move_change_the_pace_at_once()
    {
        var share = 1.0;
        var pace = new Pace(10, () => share, _time);
        Assert.Equal(TimeSpan.Zero, pace.Take(Patience));
        Assert.Equal(TimeSpan.FromMilliseconds(100), pace.Take(Patience));

        share = 0.1;
        Assert.Equal(TimeSpan.FromMilliseconds(200), pace.Take(Patience));
        Assert.Equal(TimeSpan.FromMilliseconds(1_200), pace.Take(Patience));
    }

    [Fact]
    public void Who_would_wait_too_long_takes_no_place()
    {
        var pace = new Pace(1, () => 1, _time);
        Assert.Equal(TimeSpan.Zero, pace.Take(TimeSpan.Zero));
        for (var i = 0; i < 100; i++)
            Assert.Null(pace.Take(TimeSpan.Zero));

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.Zero, pace.Take(TimeSpan.Zero));
    }

    [Fact]
    public void A_replica_without_partitions_may_still_follow_its_feed() =>
        Assert.NotNull(new Pace(20, () => 0, _time).Take(TimeSpan.Zero));

    [Fact]
    public async Task Each_endpoint_has_a_row_and_the_account_one_over_all()
    {
        using var limits = new StripeLimits(
            new()
            {
                ApiKey = "sk_live_x",
                WritesPerSecond = 1,
                ReadsPerSecond = 1,
                CallsPerSecond = 2,
                TimeoutSeconds = 1,
            },
            _time
        );
        Task<IDisposable?> Turn(StripeCall call) => limits.Turn(call, CancellationToken.None);

        // A second create would wait a second, a retrieve half of one: both more than the quarter that there is.
        Assert.NotNull(await Turn(StripeCall.CreateCustomer));
        Assert.Null(await Turn(StripeCall.CreateCustomer));
        Assert.Null(await Turn(StripeCall.RetrieveCustomer));

        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.NotNull(await Turn(StripeCall.UpdateCustomer));
    }
}
