using System.Text;
using Sync.Mapping;
using Sync.Orchestrator.Customers.Merging;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>
/// Each combination of <c>fields.json</c>: who owns the field, what a conflict does, who may write at all. Two systems edit one
/// field at once: both edits are on the way before either reaches the other.
/// </summary>
public sealed class AuthorityTests
{
    const string Field = "name";

    /// <param name="winner">first, second, or hold: nobody until a person says.</param>
    [Theory]
    // latest: the later arrival wins, whoever owns.
    [InlineData("any", "latest", "any", Billing, Crm, "second")]
    [InlineData("crm", "latest", "any", Billing, Crm, "second")]
    [InlineData("crm", "latest", "any", Crm, Billing, "second")]
    [InlineData("product", "latest", "any", Product, Crm, "second")]
    [InlineData("product", "latest", "any", Crm, Product, "second")]
    // owner: the owner wins, early or late; between two others, the first stays.
    [InlineData("crm", "owner", "any", Crm, Billing, "first")]
    [InlineData("crm", "owner", "any", Billing, Crm, "second")]
    [InlineData("product", "owner", "any", Product, Billing, "first")]
    [InlineData("product", "owner", "any", Billing, Product, "second")]
    [InlineData("product", "owner", "any", Billing, Crm, "first")]
    [InlineData("any", "owner", "any", Billing, Crm, "second")]
    // hold: a person decides, whoever owns.
    [InlineData("any", "hold", "any", Billing, Crm, "hold")]
    [InlineData("crm", "hold", "any", Billing, Crm, "hold")]
    [InlineData("product", "hold", "any", Product, Crm, "hold")]
    // only the owner may write: nobody else's edit is one.
    [InlineData("crm", "latest", "only", Crm, Billing, "first")]
    [InlineData("crm", "latest", "only", Billing, Crm, "second")]
    [InlineData("crm", "owner", "only", Crm, Billing, "first")]
    [InlineData("crm", "hold", "only", Crm, Billing, "first")]
    [InlineData("product", "latest", "only", Billing, Product, "second")]
    [InlineData("product", "owner", "only", Product, Billing, "first")]
    [InlineData("product", "hold", "only", Billing, Product, "second")]
    public async Task One_field_edited_in_two_systems_at_once_ends_as_the_mapping_says(
        string owner,
        string onConflict,
        string write,
        string first,
        string second,
        string winner
    )
    {
        await using var story = await Scenario.InStep(Of(owner, onConflict, write));
        // Neither knows of the other: both reports carry the record as it was, with one edit.
        var early = Edit(story, first, "First");
        var late = Edit(story, second, "Second");
        Assert.Null(await story.Send(early));
        Assert.Null(await story.Send(late));

        if (winner == "hold")
        {
            Assert.Equal($"conflict-held golden {Field}", story.Customer.Attention);
            Assert.Equal("First", story.Golden(Field));
            Assert.Null(await story.Send(Requests.TakeSide(Field, second)));
            winner = "second";
        }

        // Commands that were on the way find the field moved, and write nothing.
        await Catch(story, first, second);
        var value = winner == "first" ? "First" : "Second";
        Assert.Equal(value, story.Golden(Field));
        Assert.Null(story.Customer.Attention);
        Assert.Empty(story.Customer.Behind);
        foreach (var system in Config.Systems.Keys)
            Assert.Equal(value, story.Customer.System(system).Base[Field]);
    }

    [Theory]
    [InlineData("latest")]
    [InlineData("owner")]
    [InlineData("hold")]
    public async Task Different_fields_edited_in_three_systems_at_once_all_survive(string onConflict)
    {
        await using var story = await Scenario.InStep(Of("product", onConflict, "any"));
        var billing = story.Report(Billing, ("name", "Bea"));
        var crm = story.Report(Crm, ("email", "bea@example.com"));
        var product = Scenario.ProductSays(
            ++story.Revision,
            applied: null,
            ("name", "Ann"),
            ("email", "ann@example.com"),
            ("phone", "Ab2")
        );

        foreach (var edit in (object[])[billing, crm, product])
            Assert.Null(await story.Send(edit));
        await Catch(story, Billing, Crm);

        Assert.Equal(
            ("Bea", "bea@example.com", "Ab2"),
            (story.Golden("name"), story.Golden("email"), story.Golden("phone"))
        );
        Assert.Empty(story.Customer.Behind);
        Assert.Null(story.Customer.Attention);
    }

    static object Edit(Scenario story, string system, string value) =>
        system == Product
            ? Scenario.ProductSays(
                ++story.Revision,
                applied: null,
                ("name", value),
                ("email", "ann@example.com"),
                ("phone", "Ab1")
            )
            : story.Report(system, (Field, value));

    /// <summary>
    /// Every system answers what it was asked, until nothing is asked. A command expects what its system held when it was sent,
    /// so one that crossed an edit writes nothing and says so.
    /// </summary>
    static async Task Catch(Scenario story, params string[] edited)
    {
        foreach (var system in edited.Where(s => s != Product))
        {
            if (
                story.Sent(system) is { } sent
                && sent.Write.Keys.Any(path => sent.Expect.At(path) != story.Customer.System(system).Base.At(path))
            )
                Assert.Null(
                    await story.Send(
                        story.Report(system) with
                        {
                            Ack = sent.Id,
                            Outcome = Sync.Contracts.Systems.Outcome.Done,
                            Written = [],
                        }
                    )
                );
        }

        await story.AnswerAll();
    }

    static Rules Of(string owner, string onConflict, string write) =>
        TwoWay with
        {
            Config = SyncConfig.Parse(
                Systems,
                Encoding.UTF8.GetBytes(
                    $$"""
                    [{ "path": "name", "owner": "{{owner}}", "onConflict": "{{onConflict}}", "write": "{{write}}" },
                     { "path": "email", "owner": "{{owner}}", "onConflict": "{{onConflict}}" },
                     { "path": "phone", "owner": "{{owner}}", "onConflict": "{{onConflict}}" }]
                    """
                )
            ),
        };
}
