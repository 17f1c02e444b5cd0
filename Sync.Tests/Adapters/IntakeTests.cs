using System.Text.Json;
using MassTransit;
using MassTransit.Testing;
using Microsoft.Extensions.DependencyInjection;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Messaging.DeadLetters;
using static Sync.Tests.Adapters.Frame;

namespace Sync.Tests.Adapters;

/// <summary>The Kafka endpoint calls no vendor: an ordinary consumer adds a row, or refuses what can never be carried out.</summary>
public sealed class IntakeTests
{
    sealed class Rows : IBatchRows
    {
        public List<object> Added { get; } = [];

        public void Add<TRow>(TRow row)
            where TRow : class
        {
            lock (Added)
                Added.Add(row);
        }
    }

    static Task<(Rows Rows, IReadOnlyList<Exception> Faults)> Consume(params PushCustomer[] commands) =>
        Consume(commands, (consumed, command) => consumed.CommandId == command.CommandId);

    static async Task<(Rows Rows, IReadOnlyList<Exception> Faults)> Consume<T>(T[] commands, Func<T, T, bool> isIt)
        where T : class
    {
        var rows = new Rows();
        await using var services = new ServiceCollection()
            .AddSingleton<IBatchRows>(rows)
            .AddSingleton(new AdapterSystem("vendor"))
            .AddMassTransitTestHarness(
                TextWriter.Null,
                x =>
                {
                    // Bounds that only a failure meets, on a busy machine too.
                    x.SetTestTimeouts(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(60));
                    x.AddConsumer<PushCustomerConsumer>();
                    x.AddConsumer<ReadObjectConsumer>();
                }
            )
            .BuildServiceProvider(true);
        var harness = services.GetRequiredService<ITestHarness>();
        await harness.Start();
        foreach (var command in commands)
            await harness.Bus.Publish(command);
        List<Exception> faults = [];
        foreach (var command in commands)
        {
            // The first one that fits: listing them all would wait until the harness has been idle for its whole bound.
            var consumed = await harness.Consumed.SelectAsync<T>(m => isIt(m.Context.Message, command)).First();
            if (consumed.Exception is { } fault)
                faults.Add(fault);
        }

        return (rows, faults);
    }

    [Fact]
    public async Task A_command_becomes_a_row_of_its_customers_lane_under_its_own_id()
    {
        var command = Command(Operation.Update, Values(("name", "Ada")), ext: "v1");

        var (rows, faults) = await Consume(command);

        Assert.Empty(faults);
        var row = Assert.IsType<WorkRow>(Assert.Single(rows.Added));
        Assert.Equal((command.CommandId, "customer:c-1", "command"), (row.Id, row.Lane, row.Kind));
    }

    [Fact]
    public async Task A_look_that_somebody_asked_for_is_a_row_of_the_objects_lane_with_their_name()
    {
        var asked = new ReadObject
        {
            System = "vendor",
            ExternalId = "v1",
            RequestedBy = "kim",
        };

        var (rows, faults) = await Consume([asked], (consumed, look) => consumed.ExternalId == look.ExternalId);

        Assert.Empty(faults);
        var row = Assert.IsType<WorkRow>(Assert.Single(rows.Added));
        Assert.Equal((Lanes.Object("v1"), "request"), (row.Lane, row.Kind));
        var hint = JsonSerializer.Deserialize(row.Body, RowJson.Default.Hint)!;
        Assert.Equal(("v1", true, "kim"), (hint.ExternalId, hint.Always, hint.RequestedBy));
    }

    [Theory]
    [InlineData("system")]
    [InlineData("operation")]
    [InlineData("commandId")]
    [InlineData("externalId")]
    public async Task What_can_never_be_carried_out_is_refused_naming_the_member_and_not_its_value(string member)
    {
        var command = Command(Operation.Update, Values(("name", "Secret")));
        var (rows, faults) = await Consume(
            member switch
            {
                "system" => command with { System = "secret" },
                "operation" => command with { Operation = Operation.Unknown },
                "commandId" => command with { CommandId = Guid.Empty },
                _ => command with { Operation = Operation.DeleteObject },
            }
        );

        Assert.Empty(rows.Added);
        var refused = Assert.IsType<RefusedMessageException>(Assert.Single(faults));
        Assert.Equal("schema", refused.ReasonCode);
        Assert.StartsWith($"{member}: ", refused.Message);
        Assert.DoesNotContain("secret", refused.Message, StringComparison.OrdinalIgnoreCase);
    }
}
