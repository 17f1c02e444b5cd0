using System.Text.Json.Nodes;
using Sync.Sandbox.Faults;
using Sync.Tests.Sandbox;
using Sync.Tests.Support;

namespace Sync.Tests.Page;

/// <summary>One browser for all of them; each test has a page and a sandbox of its own.</summary>
public sealed class BrowserFixture : IAsyncLifetime
{
    internal Browser Browser { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        if (Environment.GetEnvironmentVariable("SYNC_TEST_BROWSER") is { Length: > 0 })
            Browser = await Browser.Start();
    }

    public async ValueTask DisposeAsync()
    {
        if (Browser is not null)
            await Browser.DisposeAsync();
    }
}

/// <summary>The page in a real browser, without Sync: what a person does and sees, with mouse, keyboard and on a phone.</summary>
public sealed class PageTests(BrowserFixture fixture) : IClassFixture<BrowserFixture>, IAsyncLifetime
{
    TestSandbox _sandbox = null!;
    Tab _tab = null!;

    public async ValueTask InitializeAsync()
    {
        Browser.Need();
        _sandbox = await TestSandbox.Start();
        _tab = await fixture.Browser.Open(_sandbox.Host.ProductAddress);
        await _tab.Sees("document.querySelector('#standing')?.textContent.startsWith('Live')");
    }

    public async ValueTask DisposeAsync()
    {
        if (_tab is not null)
            await _tab.DisposeAsync();
        if (_sandbox is not null)
            await _sandbox.DisposeAsync();
    }

    /// <summary>What a person's column shows in a field.</summary>
    static string Shows(string name, string system, string field) =>
        $$"""
            [...document.querySelectorAll('.person')].find(p => p.querySelector('h3').textContent === {{Tab.Quote(
                name
            )}})
              ?.querySelector('[data-system={{system}}] [data-field={{field}}]')?.textContent
            """;

    [Theory]
    [InlineData("product", "Product")]
    [InlineData("stripe", "Stripe")]
    [InlineData("salesforce", "Salesforce")]
    public async Task A_customer_is_created_edited_and_deleted_in_each_system(string system, string label)
    {
        await _tab.Click("button", $"New customer in {label}");
        await _tab.Fill("Name", "Ada Lovelace");
        await _tab.Fill("Phone", "+442079460018");
        await _tab.Fill("City", "London");
        await _tab.Fill("Tier", "gold");
        await _tab.Click("button", "Create");
        await _tab.Sees($"({Shows("Ada Lovelace", system, "phone")}) === '+442079460018'");
        Assert.Equal("London", await _tab.Text(Shows("Ada Lovelace", system, "address")));
        Assert.Equal("gold", await _tab.Text(Shows("Ada Lovelace", system, "tier")));

        await _tab.Click("button", $"Edit Ada Lovelace in {label}");
        await _tab.Fill("Name", "Ada King");
        await _tab.Fill("Phone", "");
        await _tab.Fill("City", "Ockham");
        await _tab.Click("button", "Save");
        await _tab.Sees($"({Shows("Ada King", system, "address")}) === 'Ockham'");
        Assert.Equal("", await _tab.Text(Shows("Ada King", system, "phone")));
        Assert.Equal("gold", await _tab.Text(Shows("Ada King", system, "tier")));

        await _tab.Click("button", $"Delete Ada King in {label}");
        await _tab.Click("button", "Delete");
        await _tab.Sees("document.querySelectorAll('.record').length === 0");
        Assert.Empty(_sandbox.Host.Product.List(null, 10));
        Assert.Empty(_sandbox.Host.Stripe.Find(_ => true, 10));
        Assert.Empty(_sandbox.Host.Salesforce.Find(_ => true, 10));
        Assert.Empty(fixture.Browser.Complaints);
    }

    [Fact]
    public async Task What_a_system_refuses_is_said_in_its_words_and_nothing_typed_is_lost()
    {
        await _tab.Click("button", "New customer in Stripe");
        await _tab.Fill("Name", "Ada");
        await _tab.Fill("E-mail", "nobody at all");
        await _tab.Click("button", "Create");

        await _tab.Sees("document.querySelector('#editor .problem').textContent.includes('email')");
        Assert.True(await _tab.Is("document.querySelector('#editor').open"));
        await _tab.Fill("E-mail", "ada@example.org");
        await _tab.Click("button", "Create");
        await _tab.Sees($"({Shows("Ada", "stripe", "email")}) === 'ada@example.org'");
    }

    [Fact]
    public async Task A_fault_is_switched_on_and_off_and_others_stay()
    {
        const string Lost = "Stripe: The write happens, its answer is lost";
        await _sandbox.Fault(
            new
            {
                vendor = "salesforce",
                kind = "slow",
                delayMs = 1,
            }
        );
        await _tab.Click("switch", Lost);
        await _tab.Sees("document.querySelectorAll('[role=switch][aria-checked=true]').length === 1");
        Assert.Contains(_sandbox.Host.Faults.List(), f => f.Order is { Vendor: "stripe", Kind: FaultKind.DropAfter });
        await _tab.Click("switch", "Stripe: Connections are refused");
        await Eventually.Is(() => !_sandbox.Host.Vendors["stripe"].IsUp, "Stripe is down");
        await _tab.Sees("document.querySelectorAll('[role=switch][aria-checked=true]').length === 2");

        await _tab.Click("switch", "Stripe: Connections are refused");
        await Eventually.Is(() => _sandbox.Host.Vendors["stripe"].IsUp, "Stripe is up");
        await _tab.Click("switch", Lost);
        await _tab.Sees("document.querySelectorAll('[role=switch][aria-checked=true]').length === 0");
        Assert.Equal("salesforce", Assert.Single(_sandbox.Host.Faults.List()).Order.Vendor);

        await _tab.Click("switch", "Stripe: Webhooks are lost");
        await _tab.Click("switch", "Salesforce: Change events fall silent");
        await Eventually.Is(() => _sandbox.Host.SalesforceEvents.Silent, "events are silent");
        await _tab.Sees("document.querySelectorAll('[role=switch][aria-checked=true]').length === 2");
        Assert.Equal("lose", (string?)_sandbox.Host.Stripe.Webhooks.State()["faults"]![0]!["kind"]);
    }

    [Fact]
    public async Task A_hostile_name_is_text_and_a_script_from_elsewhere_is_none()
    {
        const string Hostile =
            "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>\"'> &amp; {{x}} \u202eecilA";
        await _sandbox.StripeCustomer($"name={Uri.EscapeDataString(Hostile)}");
        await _sandbox.Account(new { Name = Hostile });
        await TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Post,
            "/customers",
            TestSandbox.Json(new { id = "\"><b>c&1", name = Hostile })
        );

        await _tab.Sees("document.querySelectorAll('.person').length === 3");
        Assert.Equal(
            3,
            (int?)
                await _tab.Evaluate(
                    $"[...document.querySelectorAll('.person h3')].filter(h => h.textContent === {Tab.Quote(Hostile)}).length"
                )
        );
        await _tab.Click("button", $"Edit {Hostile} in Product");
        Assert.Equal(Hostile, await _tab.Text("document.querySelector('#editor [name=name]').value"));
        await _tab.Press("Escape");
        Assert.True(await _tab.Is("window.hacked === undefined && document.querySelector('img, b script') === null"));
        Assert.Empty(fixture.Browser.Complaints);

        // Were there a hole in the page, the browser would still run nothing.
        Assert.Equal(
            "refused",
            await _tab.Text(
                "(() => { try { document.body.innerHTML = '<img src=x onerror=window.hacked=1>'; return 'taken'; } catch { return 'refused'; } })()"
            )
        );
        await _tab.Evaluate(
            "document.body.append(Object.assign(document.createElement('style'), { textContent: 'x{}' }))"
        );
        await Eventually.Is(
            () => !fixture.Browser.Complaints.IsEmpty,
            "the policy keeps out what is not the page's own"
        );
        fixture.Browser.Complaints.Clear();
    }

    [Fact]
    public async Task Everything_is_done_with_the_keyboard_alone()
    {
        await _tab.TabTo("button", "New customer in Salesforce");
        await _tab.Press("Enter");
        await Eventually.Is(() => _tab.HasFocus("field", "Name"), "the first field has the focus");
        await _tab.Type("Ada");
        await _tab.Press("Tab");
        await _tab.Type("ada@example.org");
        await _tab.Press("Enter");
        await _tab.Sees($"({Shows("Ada", "salesforce", "email")}) === 'ada@example.org'");
        await Eventually.Is(() => _tab.HasFocus("button", "New customer in Salesforce"), "the focus is back");

        await _tab.TabTo("button", "Edit Ada in Salesforce");
        await _tab.Press("Space");
        await _tab.Control("button", "Save");
        await _tab.Press("Escape");
        await Eventually.Is(() => _tab.HasFocus("button", "Edit Ada in Salesforce"), "the focus is back");

        // What changes meanwhile takes the focus from nobody, and is told to who does not see it.
        var id = _sandbox.Host.Salesforce.Find(_ => true, 1).Single().Id;
        await TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Patch,
            $"/sandbox/salesforce/accounts/{id}",
            TestSandbox.Json(new { Phone = "+4930901820" })
        );
        await _tab.Sees("document.querySelector('#told').textContent.includes('Salesforce: Ada has another phone')");
        Assert.True(await _tab.HasFocus("button", "Edit Ada in Salesforce"));

        await _tab.TabTo("switch", "Stripe: Every call is answered 503");
        await _tab.Press("Space");
        await Eventually.Is(() => _sandbox.Host.Faults.List().Count == 1, "the fault is on");

        await _tab.TabTo("button", "Delete Ada in Salesforce");
        await _tab.Press("Enter");
        await _tab.TabTo("button", "Delete");
        await _tab.Press("Enter");
        await _tab.Sees("document.querySelectorAll('.record').length === 0");
        Assert.Empty(_sandbox.Host.Salesforce.Find(_ => true, 1));
    }

    [Fact]
    public async Task Every_control_has_a_name_and_a_phone_shows_it_all()
    {
        await _sandbox.StripeCustomer("name=" + new string('W', 256));
        await _tab.Sees("document.querySelectorAll('.person').length === 1");
        await _tab.Resize(390, 844);

        Assert.True(await _tab.Is("document.documentElement.scrollWidth <= innerWidth"));
        Assert.Equal(
            0,
            (int?)
                await _tab.Evaluate(
                    "[...document.querySelectorAll('button')].filter(b => b.checkVisibility() && b.getBoundingClientRect().height < 44).length"
                )
        );
        var tree = await _tab.Call("Accessibility.getFullAXTree");
        var nameless = tree["nodes"]!
            .AsArray()
            .Where(node =>
                (bool?)node!["ignored"] is not true
                && (string?)node["role"]?["value"] is "button" or "switch" or "textbox" or "searchbox" or "dialog"
                && string.IsNullOrWhiteSpace((string?)node["name"]?["value"])
            );
        Assert.Empty(nameless);
        await _tab.Click("button", "New customer in Product");
        Assert.True(await _tab.Is("document.documentElement.scrollWidth <= innerWidth"));
    }

    [Fact]
    public async Task Somebody_is_found_among_many()
    {
        for (var i = 0; i < 60; i++)
            _sandbox.Host.Product.Create($"c-{i}", new Dictionary<string, string?> { ["name"] = $"Person {i}" }, "");
        await _tab.Sees("document.querySelectorAll('.person').length === 50");
        Assert.Equal("Person 59", await _tab.Text("document.querySelector('.person h3').textContent"));

        await _tab.Fill("Find", "PERSON 7");

        await _tab.Sees("document.querySelectorAll('.person').length === 1");
        Assert.Equal("Person 7", await _tab.Text("document.querySelector('.person h3').textContent"));
    }

    [Fact]
    public async Task It_says_that_the_sandbox_is_gone()
    {
        var other = await TestSandbox.Start();
        await using var tab = await fixture.Browser.Open(other.Host.ProductAddress);
        await tab.Sees("document.querySelector('#standing')?.textContent.startsWith('Live')");

        await other.DisposeAsync();

        await tab.Sees("document.querySelector('#standing.bad')?.textContent.includes('does not answer')");
    }
}
