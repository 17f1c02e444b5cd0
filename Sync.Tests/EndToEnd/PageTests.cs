using Sync.Tests.Page;

namespace Sync.Tests.EndToEnd;

/// <summary>The page beside a running Sync: a person changes something in one system and sees the others follow.</summary>
[Collection(EndToEndCollection.Name)]
public sealed class PageTests(RunningStack running)
{
    [Fact]
    public async Task What_is_done_in_one_system_shows_in_all_three_with_the_steps_in_between()
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
        // The steps stand open, beginning with what Stripe reported.
        foreach (var step in (string[])["product.snapshot", "command.create", "answered"])
            await tab.Sees($"document.querySelector('.steps:not([hidden]) [data-code=\"{step}\"]')");
        await tab.Sees("document.querySelector('.steps [data-code=\"command.create\"][data-system=salesforce]')");

        await tab.Click("button", $"Edit {name} in Salesforce");
        await tab.Fill("Phone", "+4930901820");
        await tab.Click("button", "Save");
        foreach (var system in (string[])["product", "stripe"])
            await tab.Sees($"({Shows(name, system, "phone")}) === '+4930901820'");
        await tab.Sees("document.querySelector('.steps [data-code=\"command.update\"][data-system=stripe]')");

        await tab.Click("button", $"Delete {name} in Product");
        await tab.Click("button", "Delete");
        await tab.Sees("document.querySelector('.person .steps:not([hidden]) [data-code=\"product.deleted\"]')");
        await tab.Sees(
            "document.querySelector('.steps:not([hidden])').closest('.person').querySelectorAll('.record').length === 0"
        );
        await tab.Sees(
            "document.querySelector('.steps:not([hidden])').closest('.person').querySelector('.top .chip').textContent === 'removed'"
        );
        Assert.Empty(browser.Complaints);
    }

    static string Person(string name) =>
        $"[...document.querySelectorAll('.person')].find(p => p.querySelector('h3').textContent === {Tab.Quote(name)})";

    static string Shows(string name, string system, string field) =>
        $"{Person(name)}?.querySelector('[data-system={system}] [data-field={field}]')?.textContent";

    static string Chip(string name, string text) =>
        $"{Person(name)}?.querySelector('.top .chip').textContent === {Tab.Quote(text)}";
}
