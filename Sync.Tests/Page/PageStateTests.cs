using Sync.Tests.Sandbox;

namespace Sync.Tests.Page;

/// <summary>What the page asks for, without a browser.</summary>
public sealed class PageStateTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() => _sandbox = await TestSandbox.Start();

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    Task<Reply> State(string query = "", params (string, string)[] headers) =>
        TestSandbox.Send(_sandbox.Product, HttpMethod.Get, $"/sandbox/page/state?{query}", null, headers);

    [Fact]
    public async Task Records_of_one_customer_stand_together_and_others_alone()
    {
        _sandbox.Host.Product.Create("c-1", new Dictionary<string, string?> { ["name"] = "Ada" }, "");
        var linked = await _sandbox.StripeCustomer("name=Ada&metadata[customer_id]=c-1");
        var account = await _sandbox.Account(new { Name = "Ada", Product_Customer_Id__c = "c-1" });
        var lone = await _sandbox.StripeCustomer("name=Grace");

        var people = (await State()).Json!["people"]!.AsArray();

        Assert.Equal([$"stripe:{lone}", "c-1"], people.Select(p => (string?)p!["key"]));
        Assert.Equal("Ada", (string?)people[1]!["product"]!["name"]);
        Assert.Equal(linked, (string?)people[1]!["stripe"]![0]!["id"]);
        Assert.Equal(account, (string?)people[1]!["salesforce"]![0]!["Id"]);
    }

    [Fact]
    public async Task Who_is_looked_at_stays_while_it_is_linked_and_when_it_is_gone()
    {
        var id = await _sandbox.StripeCustomer("name=Ada");
        Assert.Equal($"stripe:{id}", (string?)(await State($"open=stripe:{id}")).Json!["open"]);

        await _sandbox.Post($"/v1/customers/{id}", "metadata[customer_id]=c-1");
        var linked = (await State($"open=stripe:{id}")).Json!;
        Assert.Equal(("c-1", "c-1"), ((string?)linked["open"], (string?)linked["people"]![0]!["key"]));

        _sandbox.Host.Stripe.Delete(id);
        Assert.Equal("c-1", (string?)(await State("open=c-1")).Json!["people"]![0]!["key"]);
        Assert.Empty((await State()).Json!["people"]!.AsArray());
    }

    [Fact]
    public async Task What_has_not_changed_is_not_sent_again()
    {
        var first = await State();
        Assert.Equal(304, (await State("", ("If-None-Match", first.Header("ETag")!))).Status);

        await _sandbox.StripeCustomer();

        Assert.Equal(200, (await State("", ("If-None-Match", first.Header("ETag")!))).Status);
    }

    [Fact]
    public async Task The_page_lets_nothing_in_that_is_not_its_own()
    {
        foreach (var path in (string[])["/", "/page.js", "/page.css"])
        {
            using var answer = await _sandbox.Product.GetAsync(new Uri(path, UriKind.Relative));
            Assert.Equal(200, (int)answer.StatusCode);
            var policy = answer.Headers.GetValues("Content-Security-Policy").Single();
            Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
            Assert.Contains("require-trusted-types-for 'script'", policy, StringComparison.Ordinal);
            Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        }

        var html = await _sandbox.Product.GetStringAsync(new Uri("/", UriKind.Relative));
        Assert.DoesNotContain("<script>", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<style", html, StringComparison.Ordinal);
        Assert.DoesNotContain("//", html.Replace("<!DOCTYPE", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal(403, (await State("", ("Origin", "http://example.org"))).Status);
        Assert.Equal(400, (await State($"find={new string('x', 201)}")).Status);
    }

    [Fact]
    public async Task One_fault_is_taken_back_and_its_vendor_comes_up()
    {
        var down = (int)(await _sandbox.Fault(new { vendor = "stripe", kind = "down" })).Json!["id"]!;
        var again = (int)(await _sandbox.Fault(new { vendor = "stripe", kind = "down" })).Json!["id"]!;
        await _sandbox.Fault(new { vendor = "salesforce", kind = "unavailable" });

        Assert.Equal(204, (await Remove(down)).Status);
        Assert.False(_sandbox.Host.Vendors["stripe"].IsUp);
        Assert.Equal(204, (await Remove(again)).Status);
        Assert.True(_sandbox.Host.Vendors["stripe"].IsUp);
        Assert.Equal(404, (await Remove(again)).Status);
        Assert.Single(_sandbox.Host.Faults.List());
    }

    Task<Reply> Remove(int id) => TestSandbox.Send(_sandbox.Product, HttpMethod.Delete, $"/sandbox/faults/{id}");
}
