using Sync.Tests.Page;

namespace Sync.Tests.EndToEnd;

/// <summary>The page beside a running Sync: a person creates somebody in one system and sees the others follow.</summary>
[Collection(EndToEndCollection.Name)]
public sealed class PageTests(RunningStack running)
{
    [Fact]
    public async Task Who_is_created_in_one_system_by_the_page_shows_in_all_three()
    {
        Browser.Need();
        await using var browser = await Browser.Start();
        await using var tab = await browser.Open(running.Stack.Sandbox.ProductAddress);
        var name = $"{RunningStack.Personal} {Guid.NewGuid():n}";

        await tab.Click("button", "New customer in Stripe");
        await tab.Fill("Name", name);
        await tab.Fill("E-mail", $"{Guid.NewGuid():n}@example.org");
        await tab.Fill("Country", "DE");
        await tab.Click("button", "Create");
        foreach (var system in (string[])["stripe", "product", "salesforce"])
            await tab.Sees($"({Shows(name, system, "name")}) === {Tab.Quote(name)}");
        await tab.Sees(Chip(name, "in step"));
        Assert.Empty(browser.Complaints);
    }

    static string Person(string name) =>
        $"[...document.querySelectorAll('.person')].find(p => p.querySelector('h3').textContent === {Tab.Quote(name)})";

    static string Shows(string name, string system, string field) =>
        $"{Person(name)}?.querySelector('[data-system={system}] [data-field={field}]')?.textContent";

    static string Chip(string name, string text) =>
        $"{Person(name)}?.querySelector('.top .chip').textContent === {Tab.Quote(text)}";
}
