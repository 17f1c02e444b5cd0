using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter.Client;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

/// <summary>The org's daily calls: a part is left to other apps, and a day that is used up is waited for.</summary>
public sealed class ApiBudgetTests
{
    [Fact]
    public async Task Where_only_the_reserve_is_left_no_call_is_made_but_one_in_a_quarter_of_an_hour()
    {
        var used = 899;
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(200, SalesforceBench.Record(), (ApiBudget.Header, $"api-usage={used}/1000"))
        );
        await bench.ReadOne();
        used = 900;
        Assert.IsType<VendorResult.Ok>(await bench.ReadOne());

        for (var i = 0; i < 20; i++)
        {
            var failed = Assert.IsType<VendorResult.Failed>(await bench.CreateOne(("name", "Ada")));
            Assert.Equal((FailureClass.PauseAll, "api_reserve", true), (failed.Class, failed.Code, failed.Definite));
            Assert.Contains("SALESFORCE__RESERVEPERCENT", failed.Reason, StringComparison.Ordinal);
            bench.Time.Advance(TimeSpan.FromSeconds(30));
        }

        Assert.Equal(2, bench.Calls.Count);
        bench.Time.Advance(TimeSpan.FromMinutes(5));
        await bench.ReadOne();
        Assert.IsType<VendorResult.Failed>(await bench.ReadOne());
        Assert.Equal(3, bench.Calls.Count);

        // The day moves on, and the call that tells so is the first of many.
        used = 899;
        bench.Time.Advance(ApiBudget.LongPause);
        await bench.ReadOne();
        await bench.ReadOne();
        Assert.Equal(5, bench.Calls.Count);
    }

    [Fact]
    public async Task How_much_is_left_to_others_is_a_setting()
    {
        using var bench = new SalesforceBench(
            _ => StubHttp.Json(200, SalesforceBench.Record(), (ApiBudget.Header, "api-usage=999/1000")),
            options: new() { ReservePercent = 0 }
        );

        Assert.IsType<VendorResult.Ok>(await bench.ReadOne());
        Assert.IsType<VendorResult.Ok>(await bench.ReadOne());
    }

    [Theory]
    [InlineData("TotalRequests Limit exceeded.", 1)]
    [InlineData("ConcurrentRequests Limit exceeded.", 3)]
    public async Task A_day_that_is_used_up_is_a_long_pause_and_too_many_at_once_are_none(string message, int calls)
    {
        using var bench = new SalesforceBench(_ => SalesforceBench.Error(403, "REQUEST_LIMIT_EXCEEDED", message));

        for (var i = 0; i < 3; i++)
        {
            await bench.ReadOne();
            bench.Time.Advance(TimeSpan.FromMinutes(2));
        }

        Assert.Equal(calls, bench.Calls.Count);
        bench.Time.Advance(ApiBudget.LongPause);
        await bench.ReadOne();
        Assert.Equal(calls + 1, bench.Calls.Count);
    }

    [Fact]
    public async Task The_reserve_stops_a_query_of_a_feed_too()
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(200, SalesforceBench.Record(), (ApiBudget.Header, "api-usage=95/100"))
        );
        await bench.ReadOne();

        var found = Assert.Single(
            await bench.Vendor.Find([new("c-1", DateTimeOffset.UnixEpoch, null)], CancellationToken.None)
        );

        Assert.Equal("api_reserve", found.Failure?.Code);
        Assert.Single(bench.Calls);
    }
}
