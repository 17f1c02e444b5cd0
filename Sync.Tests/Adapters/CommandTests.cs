using Sync.Contracts.Systems;
using static Sync.Tests.Adapters.Frame;

namespace Sync.Tests.Adapters;

/// <summary>What one command does, when nothing goes wrong.</summary>
public sealed class CommandTests
{
    [Fact]
    public async Task A_create_is_inserted_and_answered_with_what_the_vendor_stores()
    {
        await using var frame = await Start();

        var report = await frame.Do(
            Command(Operation.Create, Values(("name", " Ada "), ("email", "Ada@Example.org"), ("phone", null)))
        );

        var row = Assert.Single(frame.Vendor.Live);
        Assert.Equal(row.Id, report.ExternalId);
        Assert.Equal(Customer, row.CustomerId);
        Assert.True(report.IdOnObject);
        Assert.Equal(Outcome.Done, report.Outcome);
        Assert.Equal(" Ada ", report.Written!["name"]);
        Assert.Equal("Ada", report.Stored!["name"]);
        Assert.Equal("ada@example.org", report.Fields!["email"]);
        Assert.Null(report.Own);
        Assert.Equal(await frame.OfLink<long>("version"), report.Obs);
        Assert.Equal(0, await frame.WorkRows());
    }

    [Fact]
    public async Task An_update_patches_the_named_fields_only()
    {
        await using var frame = await Start();
        var made = await frame.Do(Command(Operation.Create, Values(("name", "Ada"), ("email", "a@x.org"))));
        frame.Vendor.Edit(made.ExternalId!, "phone", "123");

        var report = await frame.Do(
            Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), made.ExternalId)
        );

        Assert.Equal("Eva", frame.Vendor[made.ExternalId!].Fields["name"]);
        Assert.Equal("123", frame.Vendor[made.ExternalId!].Fields["phone"]);
        Assert.Equal("Eva", report.Written!["name"]);
        Assert.Equal("123", report.Fields!["phone"]);
        Assert.True(report.Obs > made.Obs);
    }

    [Fact]
    public async Task Null_clears_a_field()
    {
        await using var frame = await Start();
        var made = await frame.Do(Command(Operation.Create, Values(("name", "Ada"), ("phone", "1"))));

        var report = await frame.Do(
            Command(Operation.Update, Values(("phone", null)), Values(("phone", "1")), made.ExternalId)
        );

        Assert.Null(frame.Vendor[made.ExternalId!].Fields["phone"]);
        Assert.True(report.Written!.ContainsKey("phone"));
        Assert.Null(report.Written["phone"]);
    }

    [Fact]
    public async Task A_delete_is_answered_done_and_gone()
    {
        await using var frame = await Start();
        await frame.Do(Command(Operation.Create, Values(("name", "Ada"))));

        var report = await frame.Do(Command(Operation.Delete));

        Assert.Empty(frame.Vendor.Live);
        Assert.True(report.Gone);
        Assert.Equal(Outcome.Done, report.Outcome);
        Assert.Null(report.Fields);
    }
}
