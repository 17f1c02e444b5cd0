using System.Diagnostics;

namespace Sync.Sandbox.Demo;

/// <summary>An edit in one place that is to be seen in another.</summary>
sealed record Cell(Change Change, Place Origin, Place Target)
{
    /// <summary>The place that has no part in it.</summary>
    public Place Third => Place.All.Single(place => place != Origin && place != Target);

    /// <summary>Who decides whether a person found in one vendor is a new one is the product: without it nobody else is asked.</summary>
    public bool WaitsForThird => Change == Change.Create && Third == Place.Product;

    public override string ToString() => $"{Change.ToString().ToLowerInvariant()} in {Origin} → {Target}";
}

/// <summary>What each cell took; null where it had to wait for the place that was down.</summary>
sealed class Latencies
{
    public Dictionary<Cell, TimeSpan> Everybody { get; } = [];
    public Dictionary<Cell, TimeSpan?> Meanwhile { get; } = [];
}

/// <summary>
/// Everything two-way: each kind of edit, in each place, to each other place, and all of it again while the third place is
/// down. Every cell has a customer of its own.
/// </summary>
static class Matrix
{
    public static readonly IReadOnlyList<Cell> Cells =
    [
        .. from change in Enum.GetValues<Change>()
        from origin in Place.All
        from target in Place.All
        where target != origin
        select new Cell(change, origin, target),
    ];

    /// <summary>With everybody there.</summary>
    /// <returns>From the person's hand to the moment it was seen in the target.</returns>
    public static async Task<TimeSpan> Run(Cell cell, FlowRun run)
    {
        var edit = new Edit(cell.Change, cell.Origin, Address(cell, "up"));
        await edit.Prepare(run);
        run.CountCalls();
        await edit.Make(run);
        var took = await edit.Reaches(run, cell.Target);
        await edit.Settles(run);
        edit.WroteOnce(run);
        return took;
    }

    /// <summary>A customer's e-mail, and its id where the product creates it.</summary>
    public static string Address(Cell cell, string about) =>
        $"{cell.Change}-{cell.Origin}-{cell.Target}-{about}@example.org".ToLowerInvariant();
}

/// <summary>The time in which one place is down, and the six cells between the other two.</summary>
sealed class Outage(Place down)
{
    readonly Dictionary<Cell, Edit> _edits = Matrix
        .Cells.Where(cell => cell.Third == down)
        .ToDictionary(
            cell => cell,
            cell => new Edit(cell.Change, cell.Origin, Matrix.Address(cell, $"without-{down}"))
        );

    bool _begun;

    public Place Down => down;

    public IReadOnlyCollection<Cell> Cells => _edits.Keys;

    /// <returns>From the person's hand to the target, or null where it has to wait for the place that is down.</returns>
    public async Task<TimeSpan?> Run(Cell cell, FlowRun run)
    {
        await Begin(run);
        var edit = _edits[cell];
        await edit.Make(run);
        return cell.WaitsForThird ? null : await edit.Reaches(run, cell.Target);
    }

    /// <summary>Up again, and it catches up with all that it missed.</summary>
    public async Task<TimeSpan> End(FlowRun run)
    {
        await Begin(run);
        await down.Recover(run.Sandbox);
        var began = Stopwatch.GetTimestamp();
        foreach (var edit in _edits.Values.Where(edit => edit.Made))
        {
            foreach (var place in Place.All)
                await edit.Reaches(run, place);
            await edit.Settles(run);
        }

        return Stopwatch.GetElapsedTime(began);
    }

    /// <summary>Customers for all of them, and then nobody answers there any more.</summary>
    async Task Begin(FlowRun run)
    {
        if (_begun)
            return;
        _begun = true;
        run.Say($"customers in step, before {down} is taken away");
        await Task.WhenAll(_edits.Values.Select(edit => edit.Prepare(run)));
        await down.Fail(run.Sandbox);
    }
}
