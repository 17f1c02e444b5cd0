using Sync.Sandbox.Demo;

namespace Sync.Tests.EndToEnd;

/// <summary>Each kind of edit, in each place, to each other place: over real processes, from a person's hand.</summary>
[Collection(EndToEndCollection.Name)]
public sealed class MatrixTests(RunningStack running)
{
    public static TheoryData<string> Cells => [.. Matrix.Cells.Select(cell => cell.ToString())];

    public static TheoryData<string> Places => [.. Place.All.Select(place => place.Name)];

    [Theory]
    [MemberData(nameof(Cells))]
    public async Task An_edit_in_one_place_reaches_another_with_one_write(string cell)
    {
        var took = await Matrix.Run(Matrix.Cells.Single(c => c.ToString() == cell), running.Run);

        TestContext.Current.TestOutputHelper?.WriteLine($"{took.TotalMilliseconds:0} ms");
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task While_one_place_is_down_the_other_two_follow_each_other_and_it_catches_up(string down)
    {
        var run = running.Run;
        var outage = new Outage(Place.Of(down));
        try
        {
            foreach (var cell in outage.Cells)
                await outage.Run(cell, run);
            await outage.End(run);
        }
        finally
        {
            await outage.Down.Recover(run.Sandbox);
        }
    }
}
