using Sync.Contracts;
using Sync.Orchestrator.Customers.Merging;
using Sync.Tests.Page;

namespace Sync.Tests.EndToEnd;

/// <summary>
/// The page beside a running Sync: what a person does by hand in one system shows in the others, with the steps between.
/// Pictures of what was seen lie beside the logs.
/// </summary>
[Collection(EndToEndCollection.Name)]
public sealed class PageTests(RunningStack running)
{
    const string Product = SystemNames.Product;

    static readonly string[] Systems = [Product, SystemNames.Stripe, SystemNames.Salesforce];

    public static TheoryData<string, string> Origins =>
        new()
        {
            { Product, "Product" },
            { SystemNames.Stripe, "Stripe" },
            { SystemNames.Salesforce, "Salesforce" },
        };

    [Theory]
    [MemberData(nameof(Origins))]
    public async Task What_a_person_creates_edits_and_deletes_in_one_system_the_page_shows_in_all_three(
        string origin,
        string label
    )
    {
        Browser.Need();
        await using var browser = await Browser.Start();
        await using var tab = await browser.Open(running.Stack.Sandbox.ProductAddress);
        var pictures = RunningStack.LogFolder($"page-{origin}");
        var mark = Guid.NewGuid().ToString("n")[..12];
        var name = $"{RunningStack.Personal} {mark}";
        var others = Systems.Where(system => system != origin).ToList();

        await tab.Fill("Find", mark);
        await tab.Click("button", $"New customer in {label}");
        await tab.Fill("Name", name);
        await tab.Fill("E-mail", $"{mark}@example.org");
        await tab.Fill("City", "Hamburg");
        await tab.Fill("Country", "DE");
        await tab.Click("button", "Create");
        foreach (var system in Systems)
            await tab.Sees($"({Shows(name, system, "name")}) === {Tab.Quote(name)}");
        await tab.Sees(Chip(name, "in step"));
        if (origin == Product)
            await tab.Sees(Step(name, Codes.Snapshot, null));
        else
        {
            // What was asked while it was nobody's is told with the customer that it became.
            await tab.Sees(Step(name, Codes.Asked, origin));
            await tab.Sees(Step(name, Codes.Linked, origin));
        }

        foreach (var system in others.Where(system => system != Product))
        {
            await tab.Sees(Step(name, Codes.CommandCreate, system));
            await tab.Sees(Step(name, Codes.Answered, system));
        }

        await Pictures(tab, pictures);

        var renamed = $"{RunningStack.Personal} {mark} King";
        await tab.Click("button", $"Edit {name} in {label}");
        await tab.Fill("Name", renamed);
        await tab.Fill("Phone", "+4930901820");
        await tab.Fill("City", "");
        if (origin == Product)
            await Pictures(tab, RunningStack.LogFolder("page-editor"));
        await tab.Click("button", "Save");
        foreach (var system in Systems)
        {
            await tab.Sees($"({Shows(renamed, system, "name")}) === {Tab.Quote(renamed)}");
            await tab.Sees($"({Shows(renamed, system, "phone")}) === '+4930901820'");
            await tab.Sees($"!({Shows(renamed, system, "address")}).includes('Hamburg')");
        }

        foreach (var system in others.Where(system => system != Product))
            await tab.Sees(Step(renamed, Codes.CommandUpdate, system));
        await tab.Sees(Chip(renamed, "in step"));

        await tab.Click("button", $"Delete {renamed} in {label}");
        if (origin == Product)
            await Pictures(tab, RunningStack.LogFolder("page-removal"));
        await tab.Click("button", "Delete");
        // Whom one looks at stays until one has seen the end.
        await tab.Sees($"{Person(renamed)}?.querySelectorAll('.record').length === 0");
        await tab.Sees(Chip(renamed, "removed"));
        foreach (var system in others.Where(system => system != Product))
            await tab.Sees(Step(renamed, Codes.CommandDelete, system));
        Assert.Empty(browser.Complaints);
    }

    [Fact]
    public async Task A_record_that_waits_for_a_person_says_why_and_shows_its_steps()
    {
        Browser.Need();
        await using var browser = await Browser.Start();
        await using var tab = await browser.Open(running.Stack.Sandbox.ProductAddress);
        var mark = Guid.NewGuid().ToString("n")[..12];
        await tab.Fill("Find", mark);
        foreach (var (system, name) in ((string, string)[])[("Product", "Anna"), ("Stripe", "Otto")])
        {
            await tab.Click("button", $"New customer in {system}");
            await tab.Fill("Name", $"{RunningStack.Personal} {name} {mark}");
            await tab.Fill("E-mail", $"{mark}@example.org");
            await tab.Click("button", "Create");
            if (system == "Product")
                await tab.Sees(Chip($"{RunningStack.Personal} {name} {mark}", "in step"));
        }

        var second = $"{RunningStack.Personal} Otto {mark}";
        await tab.Sees(Chip(second, "waits for a person: duplicate"));
        await tab.Sees(Step(second, Codes.Asked, SystemNames.Stripe));
        await tab.Sees(Step(second, Codes.Parked, SystemNames.Stripe));
        await Pictures(tab, RunningStack.LogFolder("page-waits"));
        Assert.Empty(browser.Complaints);
    }

    /// <summary>On a desk and on a phone, by day and by night; nothing is wider than what shows it.</summary>
    static async Task Pictures(Tab tab, string folder)
    {
        foreach (var (width, height) in ((int, int)[])[(390, 844), (1280, 900)])
        {
            await tab.Resize(width, height);
            foreach (var scheme in (string[])["dark", "light"])
            {
                await tab.Prefer(scheme);
                await tab.Picture(Path.Combine(folder, $"{width}-{scheme}.png"));
            }

            Assert.True(await tab.Is("document.documentElement.scrollWidth <= innerWidth"));
        }
    }

    static string Person(string name) =>
        $"[...document.querySelectorAll('.person')].find(p => p.querySelector('h3').textContent === {Tab.Quote(name)})";

    static string Shows(string name, string system, string field) =>
        $"{Person(name)}?.querySelector('[data-system={system}] [data-field={field}]')?.textContent";

    static string Chip(string name, string text) =>
        $"{Person(name)}?.querySelector('.top .chip').textContent === {Tab.Quote(text)}";

    static string Step(string name, string code, string? system) =>
        $"{Person(name)}?.querySelector('.steps [data-code=\"{code}\"]{(system is null ? "" : $"[data-system={system}]")}')";
}
