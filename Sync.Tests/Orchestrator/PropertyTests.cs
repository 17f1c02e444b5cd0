using CsCheck;
using Sync.Contracts.Systems;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>What holds in every order of things. A failure prints the tape and seed that show it again.</summary>
public sealed class PropertyTests
{
    /// <summary>Each schedule is some hundred messages through the real machine.</summary>
    const int Schedules = 40;

    static readonly Gen<int[]> Tape = Gen.Int[0, 1000].Array[10, 60];

    [Fact]
    public async Task In_any_order_of_edits_answers_and_late_copies_all_systems_end_alike_and_golden_never_returns()
    {
        await Tape.SampleAsync(
            async tape =>
            {
                await using var harness = await OrchestratorHarness.Start();
                var world = new MiniWorld(harness, Scenario.Id);
                await world.Begin();
                foreach (var choice in tape)
                    await world.Move(choice);
                await world.Settle();
                world.CheckRest();
                if (world.Faults.Count > 0)
                    throw new InvalidOperationException(string.Join('\n', world.Faults));
            },
            iter: Schedules,
            threads: 1
        );
    }

    [Fact]
    public async Task Repeating_any_message_changes_nothing()
    {
        await Gen.Int[0, 1000]
            .Array[5, 25]
            .SampleAsync(
                async tape =>
                {
                    await using var story = await Scenario.InStep(null, ("address.city", "Rome"));
                    List<object> reports = [];
                    foreach (var choice in tape)
                    {
                        if (Next(story, choice) is not { } message || await story.Send(message) is not null)
                            continue;
                        await IsRepeated(story, message);
                        // A report may come again at any time; a person who asks again asks for what is now.
                        if (message is CustomerReported)
                            reports.Add(message);
                        if (reports.Count > 0)
                            await IsRepeated(story, reports[choice % reports.Count]);
                    }
                },
                iter: Schedules,
                threads: 1
            );
    }

    [Fact]
    public async Task Any_order_of_answers_ends_the_same()
    {
        await Gen.Select(Gen.Shuffle(Config.Systems.Keys.ToArray()), Gen.Int[0, 1000].Array[10])
            .SampleAsync(
                async (order, copies) =>
                {
                    var straight = await Answered([.. Config.Systems.Keys], []);
                    var shuffled = await Answered(order, copies);
                    Assert.Equal(straight, shuffled);
                },
                iter: 15,
                threads: 1
            );
    }

    static async Task IsRepeated(Scenario story, object message)
    {
        var before = States.Text(story.Customer);
        story.Take();

        Assert.Null(await story.Send(message));

        Assert.Equal(before, States.Text(story.Customer));
        // Levels may be told again; nothing is asked again.
        Assert.DoesNotContain(
            story.Take(),
            m =>
                m
                    is PushCustomer { Operation: not Operation.Read and not Operation.DeleteObject }
                        or Sync.Contracts.Customers.CustomerCommand
        );
    }

    /// <summary>Every system answers an edit of crm and one of the product, in the given order, with old copies between.</summary>
    static async Task<string> Answered(string[] order, int[] copies)
    {
        await using var story = await Scenario.InStep();
        List<object> delivered = [];
        async Task Deliver(object message)
        {
            Assert.Null(await story.Send(message));
            delivered.Add(message);
            foreach (var copy in copies.Take(2))
                Assert.Null(await story.Send(delivered[copy % delivered.Count]));
        }

        await Deliver(story.Report(Crm, ("email", "new@example.com")));
        await Deliver(
            Scenario.ProductSays(
                ++story.Revision,
                applied: null,
                ("name", "Bea"),
                ("email", "ann@example.com"),
                ("phone", "Ab1")
            )
        );
        for (var round = 0; round < 5; round++)
        {
            foreach (var system in order)
            {
                if (story.Sent(system) is not { } sent)
                    continue;
                if (system == Product)
                    await Deliver(
                        Scenario.ProductSays(
                            ++story.Revision,
                            new(sent.Id, Outcome.Done, sent.Write.ToWire()),
                            [.. story.Customer.Golden.Select(g => (g.Key, g.Value))]
                        )
                    );
                else
                    await Deliver(story.Done(system));
            }
        }

        Assert.Empty(story.Customer.Behind);
        // Numbers of reports and timers differ by the way there; what is held, believed and reached does not.
        return string.Join(
            '\n',
            Sync.Orchestrator.Storage.StateJson.Fields(story.Customer.Golden),
            story.Customer.Revision,
            string.Join(
                '\n',
                Config.Systems.Keys.Select(s =>
                    $"{s} {Sync.Orchestrator.Storage.StateJson.Fields(story.Customer.System(s).Base)} {Sync.Orchestrator.Storage.StateJson.Fields(story.Customer.System(s).At)}"
                )
            )
        );
    }

    static object? Next(Scenario story, int choice)
    {
        var vendor = Vendors[choice % 2];
        var value = $"v{choice}";
        return (choice / 2 % 12) switch
        {
            0 => Scenario.ProductSays(
                ++story.Revision,
                null,
                ("name", value),
                ("email", $"{value}@example.com"),
                ("address.city", "Rome")
            ),
            1 => Scenario.ProductSays(++story.Revision, null, ("name", "Ann"), ("address.city", value)),
            2 => story.State == "Live" ? story.Report(vendor, ("email", $"{value}@example.com")) : story.Report(vendor),
            3 => story.Report(vendor, ("address.city", value)),
            4 or 5 or 6 => story.Sent(vendor) is null ? null : story.Done(vendor),
            7 => story.Sent(Product) is { } sent && story.State == "Live"
                ? Scenario.ProductSays(
                    ++story.Revision,
                    new(sent.Id, Outcome.Done, sent.Write.ToWire()),
                    [.. story.Customer.Golden.Select(g => (g.Key, g.Value))]
                )
                : null,
            8 => Requests.Link(vendor, story.Customer.System(vendor).Ext ?? "x", minted: false, []),
            9 => Requests.TakeSide("address.city", vendor),
            10 => story.Sent(vendor) is { Op: Operation.Update } refused
                ? story.Report(vendor) with
                {
                    Ack = refused.Id,
                    Outcome = Outcome.Refused,
                    Refused = refused.Write.ToWire(),
                }
                : null,
            _ => choice % 5 == 0
                ? story.Report(vendor) with
                {
                    Gone = true,
                    Fields = null,
                }
                : Requests.Duplicate(vendor, "copy", ours: true),
        };
    }
}
