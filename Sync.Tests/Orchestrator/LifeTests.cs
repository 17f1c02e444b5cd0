using Sync.Contracts.Systems;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>A customer's life through the states, in MassTransit's test harness.</summary>
public sealed class LifeTests
{
    [Fact]
    public async Task A_customer_of_the_product_is_created_in_every_system()
    {
        await using var story = await Scenario.Start();

        await story.Snapshot(("name", "Ann"), ("email", "ann@example.com"));

        Assert.Equal("Live", story.State);
        var pushes = story.TakePushes();
        Assert.Equal(Vendors, pushes.Select(p => p.System));
        Assert.All(pushes, p => Assert.Equal(Operation.Create, p.Operation));
        Assert.All(pushes, p => Assert.Equal(["email", "name"], p.Write.Keys.Order()));
        Assert.Equal(Vendors, story.Customer.Behind);

        await story.AnswerAll();

        Assert.Empty(story.Customer.Behind);
        Assert.Null(story.Customer.Attention);
    }
}
