using CsCheck;
using Sync.Contracts.Requests;
using Sync.Mapping;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>
/// Many customers, people who create, edit and delete everywhere, a brake that is often on, operators who ask for anything at
/// any time, messages in any order that Kafka allows, and copies of old ones.
/// </summary>
public sealed class TownTests
{
    const int Schedules = 40;

    [Fact]
    public async Task Whatever_people_and_operators_do_everybody_ends_in_step_removed_or_with_a_reason_for_a_person()
    {
        await Gen.Select(Gen.Int[0, 10_000].Array[20, 120], Gen.Int[0, 3])
            .SampleAsync(
                async (tape, brake) =>
                {
                    await using var harness = await OrchestratorHarness.Start(
                        TwoWay with
                        {
                            AllowRecreate = brake == 1,
                        }
                    );
                    harness.Surroundings.DeletionBrake = brake;
                    var town = new Town(harness);
                    town.CreateInProduct("c-1", "one@example.com");
                    town.CreateInProduct("c-2", "two@example.com");
                    foreach (var choice in tape)
                        await Move(town, choice);
                    await town.Rest();
                    await town.RingAll();
                    Check(town);
                },
                iter: Schedules,
                threads: 1
            );
    }

    static async Task Move(Town town, int choice)
    {
        var vendor = Vendors[choice / 32 % 2];
        var objects = town.Objects(vendor).ToList();
        var ext = objects.Count == 0 ? null : objects[choice / 64 % objects.Count];
        var id = $"c-{1 + (choice / 64 % 3)}";
        switch (choice % 32)
        {
            case 0:
                town.CreateInVendor(vendor, choice / 64 % 2 == 0 ? "one@example.com" : $"new{choice}@example.com");
                break;
            case 1 when ext is not null:
                town.DeleteInVendor(vendor, ext);
                break;
            case 2 or 3 or 4 when ext is not null:
                town.EditInVendor(vendor, ext, "phone", $"Ph{choice}x");
                break;
            case 5:
                town.DeleteInProduct(id);
                break;
            case 6:
                town.CreateInProduct(id, $"{id}@example.com");
                break;
            case 7:
                town.Ask(Requests.Release(vendor, spread: choice / 64 % 2 == 0) with { CustomerId = id });
                break;
            case 8 when town.Harness.Customers.Any(c => c.CustomerId == id):
                town.Ask(Requests.Retry(null) with { CustomerId = id });
                break;
            case 9 when town.Harness.Customers.Any(c => c.CustomerId == id) && choice % 5 == 0:
                town.Ask(Requests.Erase() with { CustomerId = id });
                break;
            case 10 when town.Harness.Customers.Any(c => c.CustomerId == id):
                town.Ask(Requests.AllowRecreate() with { CustomerId = id });
                break;
            case 11 when town.Harness.Customers.Any(c => c.CustomerId == id):
                town.Ask(Requests.Resync(null) with { CustomerId = id });
                break;
            case 12 when ext is not null && town.Harness.Objects.Any(o => o.System == vendor && o.Ext == ext):
                town.Ask(Requests.LinkTo(vendor, ext, id));
                break;
            case 13 when ext is not null && town.Harness.Objects.Any(o => o.System == vendor && o.Ext == ext):
                town.Ask(Requests.RetryObject(vendor, ext));
                break;
            case 14:
                await town.Again(choice);
                break;
            case 15:
                town.Harness.Time.Advance(TimeSpan.FromSeconds(20));
                break;
            default:
                await town.Step(choice);
                break;
        }
    }

    static void Check(Town town)
    {
        var harness = town.Harness;
        foreach (var customer in harness.Customers)
        {
            Assert.All(Config.Systems.Keys, s => Assert.Null(customer.System(s).Sent));
            switch (customer.CurrentState)
            {
                case "Live":
                    Assert.Equal(town.Product.Find(customer.CustomerId)?.Fields["email"], customer.Golden["email"]);
                    foreach (var vendor in Vendors)
                        CheckSlot(town, customer, vendor);
                    break;
                case "Removed":
                    Assert.Empty(customer.Golden);
                    Assert.All(Config.Systems.Keys, s => Assert.Empty(customer.System(s).Base));
                    Assert.Equal(customer.EraseAskedAt is null, customer.ErasedAt is null);
                    break;
                case "Merged":
                    break;
                default:
                    Assert.Fail($"{customer.CustomerId} rests as {customer.CurrentState}");
                    break;
            }
        }

        foreach (var vendor in Vendors)
        {
            var slots = harness
                .Customers.Where(c => c.CurrentState == "Live" && !c.System(vendor).Gone)
                .Select(c => c.System(vendor).Ext)
                .ToList();
            Assert.Equal(slots.Count, slots.Distinct().Count());
        }

        Assert.DoesNotContain(harness.Objects, o => o.CurrentState == "Asking");
    }

    static void CheckSlot(Town town, Sync.Orchestrator.Customers.CustomerSync customer, string vendor)
    {
        var system = customer.System(vendor);
        if (system.Gone)
        {
            Assert.StartsWith("deletion-held", customer.Attention, StringComparison.Ordinal);
            return;
        }

        Assert.Contains(system.Ext, town.Objects(vendor));
        Assert.Equal(customer.CustomerId, town.OnObject(vendor, system.Ext!));
        foreach (var field in (string[])["name", "email", "phone"])
            Assert.True(
                Normaliser.Same(
                    Config.System(vendor).Fields[field],
                    customer.Golden.GetValueOrDefault(field),
                    town.Value(vendor, system.Ext!, field)
                ),
                $"{customer.CustomerId} {vendor} {field}: {town.Value(vendor, system.Ext!, field)}, golden {customer.Golden.GetValueOrDefault(field)}"
            );
    }
}
