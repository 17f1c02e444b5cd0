using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Sync.Sandbox.Demo;

enum Change
{
    Create,
    Update,
    Delete,
}

/// <summary>
/// One edit that a person makes by hand in one place, of a customer of its own, and what is to be seen of it elsewhere. The
/// customer is known by its e-mail: an id of the product's it has only once the product agreed.
/// </summary>
sealed class Edit(Change change, Place origin, string email)
{
    /// <summary>Filled in at first: what every place has a field for.</summary>
    static readonly Dictionary<string, string?> Person = new()
    {
        ["name"] = "Mary Jackson",
        ["phone"] = "+442079460018",
        ["address.line1"] = "12 St James's Square",
        ["address.city"] = "London",
        ["address.country"] = "GB",
        ["attributes.tier"] = "gold",
    };

    /// <summary>One field that anybody may change, one that the product owns, and one that is emptied.</summary>
    static readonly Dictionary<string, string?> Changed = new()
    {
        ["phone"] = "+442079460099",
        ["address.city"] = "Leeds",
        ["attributes.tier"] = null,
    };

    long _began;
    string? _id;
    long _revision;

    public Change Change => change;
    public Place Origin => origin;
    public string Email => email;

    /// <summary>The product's id; null until it has one.</summary>
    public string? Id => _id;

    public bool Made { get; private set; }

    /// <summary>A customer in step, for an edit that needs one.</summary>
    public async Task Prepare(FlowRun run)
    {
        if (change == Change.Create)
            return;
        _id = email;
        var form = Place.Product.Form(Whole());
        form["id"] = _id;
        await run.Send(HttpMethod.Post, Place.Product.Root, form);
        await run.InStep(_id);
        _revision = run.Sandbox.Product.Find(_id)!.Revision;
    }

    /// <summary>The person's hand; time is taken from here.</summary>
    public async Task Make(FlowRun run)
    {
        // Looked up before: nobody waits for the eyes.
        var path = change == Change.Create ? origin.Root : $"{origin.Root}/{Uri.EscapeDataString(IdIn(run, origin))}";
        _began = Stopwatch.GetTimestamp();
        Made = true;
        await (
            change switch
            {
                Change.Create => run.Send(HttpMethod.Post, path, origin.Form(Whole())),
                Change.Update => run.Send(HttpMethod.Patch, path, origin.Form(Changed)),
                _ => run.Send(HttpMethod.Delete, path, body: null),
            }
        );
    }

    /// <summary>Until the edit is to be seen in another place.</summary>
    /// <returns>From the person's hand to the moment it was seen.</returns>
    public async Task<TimeSpan> Reaches(FlowRun run, Place target)
    {
        await run.Until(
            $"the edit in {origin} reaches {target}",
            () => Task.FromResult<IReadOnlyList<string>>(Missing(run, target) is { } missing ? [missing] : [])
        );
        return Stopwatch.GetElapsedTime(_began);
    }

    /// <summary>Until every place and the saga agree, and nobody was written to more than the edit needs.</summary>
    public async Task Settles(FlowRun run)
    {
        if (change == Change.Delete)
        {
            await run.Gone(_id!);
            return;
        }

        await Reaches(run, Place.Product);
        _id ??= IdIn(run, Place.Product);
        await run.InStep(_id);
        var revision = run.Sandbox.Product.Find(_id)!.Revision;
        run.Expect(
            revision == _revision + 1,
            "the product is changed once",
            $"its revision went from {_revision} to {revision}"
        );
    }

    /// <summary>
    /// One outside edit is at most one write in every other place; the origin is written to only to put our id on an object
    /// that is new to us.
    /// </summary>
    public void WroteOnce(FlowRun run)
    {
        foreach (var place in Place.All)
        {
            var most = place != origin || change == Change.Create ? 1 : 0;
            var writes = place.Writes(run.Sandbox);
            run.Expect(writes <= most, $"at most {most} writes in {place} for one edit in {origin}", $"{writes}");
        }
    }

    /// <summary>What is not there yet, in words without values; null when all of it is.</summary>
    string? Missing(FlowRun run, Place place)
    {
        var found = Records(run, place);
        if (change == Change.Delete)
            return found.Count == 0 ? null : $"{place} still has the customer";
        if (found.Count != 1)
            return $"{place} has {found.Count} customers with its e-mail";
        var expected = change == Change.Create ? Whole() : Changed;
        return expected
            .Keys.Where(path => place.Fields.ContainsKey(path))
            .Where(path => !Expectations.Same(path, expected[path], place.Read(found[0], path)))
            .Select(path => $"{path} is another one in {place}")
            .FirstOrDefault();
    }

    string IdIn(FlowRun run, Place place) =>
        Records(run, place) is [var one]
            ? (string)one[place.IdField]!
            : throw run.Failed($"one customer with its e-mail in {place}", $"{Records(run, place).Count}");

    List<JsonObject> Records(FlowRun run, Place place) =>
        [.. place.Live(run.Sandbox).Where(record => Expectations.Same("email", email, place.Read(record, "email")))];

    Dictionary<string, string?> Whole() => new(Person) { ["email"] = email };
}
