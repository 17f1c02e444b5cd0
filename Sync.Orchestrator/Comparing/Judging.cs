using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;

namespace Sync.Orchestrator.Comparing;

/// <summary>What was found about one object. Pinned words: <c>docs/operate.md</c> explains them.</summary>
static class FindingClasses
{
    /// <summary>Linked, and as the golden record says.</summary>
    public const string Same = "same";

    /// <summary>Nobody's, and nobody has its e-mail: an import makes a customer of it.</summary>
    public const string Create = "create";

    /// <summary>A customer's by its id or its e-mail, and not linked yet: an import links it.</summary>
    public const string Link = "link";

    /// <summary>Nobody's, and several customers have its e-mail.</summary>
    public const string Ambiguous = "ambiguous";

    /// <summary>Its customer has another object.</summary>
    public const string Duplicate = "duplicate";

    /// <summary>It carries an id that no customer has.</summary>
    public const string UnknownCustomer = "unknown-customer";

    /// <summary>It carries the id of a customer that was removed.</summary>
    public const string Removed = "removed";

    /// <summary>Nobody's, and the product is only read.</summary>
    public const string OneWay = "one-way";

    /// <summary>It waits for a person already.</summary>
    public const string Parked = "parked";

    /// <summary>Linked, and fields differ that nobody is about to write.</summary>
    public const string Differs = "differs";

    /// <summary>Linked, and our id is not on it.</summary>
    public const string IdLacking = "id-lacking";

    /// <summary>Linked, and not in the list.</summary>
    public const string Missing = "missing";

    /// <summary>What differs is on its way.</summary>
    public const string Waiting = "waiting";

    /// <summary>What differs was refused by that system.</summary>
    public const string Refused = "refused";

    /// <summary>What differs waits for a person: a conflict.</summary>
    public const string Held = "held";

    /// <summary>It was deleted there, and the deletion waits for a person.</summary>
    public const string DeletionHeld = "deletion-held";

    /// <summary>Its customer was removed, and it stays on purpose.</summary>
    public const string Kept = "kept";
}

/// <summary>What one object is to the golden record, and what acting on it would ask vendors for.</summary>
/// <param name="Costs">By system and operation, <c>billing read</c>: how many objects that operation is asked for.</param>
sealed record Finding(
    string Class,
    string? CustomerId,
    IReadOnlyList<string> Paths,
    IReadOnlyDictionary<string, int> Costs
);

/// <summary>
/// Judges an object that a vendor lists, with the very functions by which sagas decide, on copies of them that are thrown
/// away: what a dry run says is what a run would do, as far as nothing changes between the two.
/// </summary>
static class Judging
{
    static readonly Dictionary<string, int> Nothing = [];

    /// <summary>
    /// An object that carries an id is read twice: where nobody knows whose it is, and once more in the lane of the customer
    /// that it names, where no other work of that customer gets between the look and its report.
    /// </summary>
    const int LooksAtCarrier = 2;

    /// <param name="carried">The customer whose id it carries, as a copy; null where there is none.</param>
    /// <param name="candidates">Customers with its e-mail, as copies; asked only where it carries no id.</param>
    public static Finding Judge(
        string system,
        ListedObject o,
        CustomerSync? carried,
        IReadOnlyList<CustomerSync> candidates,
        Rules rules,
        Moment moment
    )
    {
        if (!string.IsNullOrEmpty(o.CustomerId))
            return carried is null
                ? new(FindingClasses.UnknownCustomer, o.CustomerId, [], Reads(system, o))
                : JudgeCarrier(system, o, carried, rules, moment);
        if (rules.OneWay)
            return new(FindingClasses.OneWay, null, [], Reads(system, o));
        return candidates switch
        {
            [] => Mint(system, o, rules, moment),
            [var only] => Take(system, o, only, rules, moment),
            _ => new(FindingClasses.Ambiguous, null, [], Reads(system, o)),
        };
    }

    static Finding JudgeCarrier(string system, ListedObject o, CustomerSync sync, Rules rules, Moment moment)
    {
        var state = sync.System(system);
        switch (sync.Stage())
        {
            case Stage.Merged:
                return new(FindingClasses.Link, sync.System(SystemNames.Product).Ext, [], Reads(system, o));
            case Stage.Removing or Stage.Removed:
                return new(
                    state.Ext != o.ExternalId ? FindingClasses.Removed
                        : state.Sent is not null ? FindingClasses.Waiting
                        : FindingClasses.Kept,
                    sync.CustomerId,
                    [],
                    Nothing
                );
            default:
                return state.Ext == o.ExternalId
                    ? JudgeLinked(system, o, sync, state, rules)
                    : Take(system, o, sync, rules, moment);
        }
    }

    /// <summary>Field by field. What a person or a command in flight is about is not drift that anybody has to mend.</summary>
    public static Finding JudgeLinked(string system, ListedObject o, CustomerSync sync, SystemState state, Rules rules)
    {
        var different = rules
            .Config.System(system)
            .Fields.Values.Where(field =>
                o.Fields.TryGetValue(field.Path, out var value)
                && !Normaliser.Same(field, sync.Golden.At(field.Path), value)
                && !IsWhatBecameOfGolden(sync, state, field.Path, value)
            )
            .Select(field => field.Path)
            .ToList();
        if (different.Count == 0)
            return new(state.Gone ? FindingClasses.Differs : FindingClasses.Same, sync.CustomerId, [], Nothing);

        List<string> Of(Func<string, bool> condition) => different.FindAll(path => condition(path));
        var held = Of(sync.Held.ContainsKey);
        var refused = Of(path => Pumping.IsRefused(sync, state) || Pumping.IsRefused(sync, state, path));
        var rest = Of(path => !held.Contains(path) && !refused.Contains(path));
        if (rest.Count == 0)
            return held.Count > 0
                ? new(FindingClasses.Held, sync.CustomerId, held, Nothing)
                : new(FindingClasses.Refused, sync.CustomerId, refused, Nothing);
        if (state.Sent is not null && !rest.Exists(path => o.Fields[path] != state.Base.At(path)))
            return new(FindingClasses.Waiting, sync.CustomerId, rest, Nothing);
        return new(
            FindingClasses.Differs,
            sync.CustomerId,
            rest,
            new Dictionary<string, int> { [$"{system} read"] = 1, [$"{system} update"] = 1 }
        );
    }

    /// <summary>
    /// The vendor made this of the golden value and the saga knows it: a name cut off, a telephone number spaced out. No
    /// form is declared for it, and still there is nothing to mend, as <c>dashboard.drift</c> says too.
    /// </summary>
    static bool IsWhatBecameOfGolden(CustomerSync sync, SystemState state, string path, string? value) =>
        Pumping.IsInStep(sync, state, path) && state.Base.TryGetValue(path, out var held) && held == value;

    /// <summary>A customer is asked to take it; its slot says whether it can.</summary>
    static Finding Take(string system, ListedObject o, CustomerSync sync, Rules rules, Moment moment)
    {
        var customer = sync.CustomerId;
        var different = rules
            .Config.System(system)
            .Fields.Values.Where(field =>
                sync.Golden.At(field.Path) is { } golden
                && o.Fields.TryGetValue(field.Path, out var value)
                && !Normaliser.Same(field, golden, value)
            )
            .Select(field => field.Path)
            .ToList();
        var decision = Linking.Link(sync, Ask(system, o, customer, minted: false), rules);
        if (decision.Messages.OfType<ObjectParked>().Any())
            return new(FindingClasses.Duplicate, customer, [], Reads(system, o));
        // Its own id need not be written on it.
        sync.System(system).IdOnObject = o.CustomerId == customer;
        return new(FindingClasses.Link, customer, different, Costs(system, o, Pumping.Pump(sync, rules, moment)));
    }

    /// <summary>A customer is made, the product agrees, and every other vendor gets an object.</summary>
    static Finding Mint(string system, ListedObject o, Rules rules, Moment moment)
    {
        var id = CustomerIds.Minted(system, o.ExternalId);
        var sync = new CustomerSync
        {
            CustomerId = id,
            CorrelationId = CustomerIds.CorrelationId(id),
            CurrentState = nameof(Stage.Proposed),
        };
        Linking.Link(sync, Ask(system, o, id, minted: true), rules);
        var proposed = Pumping.Pump(sync, rules, moment);
        var product = sync.System(SystemNames.Product);
        product.Sent = null;
        product.Linked = true;
        foreach (var (path, value) in sync.Golden)
            product.Base[path] = product.At[path] = value;
        sync.CurrentState = nameof(Stage.Live);
        return new(FindingClasses.Create, id, [], Costs(system, o, proposed.With(Pumping.Pump(sync, rules, moment))));
    }

    static LinkObject Ask(string system, ListedObject o, string customer, bool minted) =>
        new()
        {
            CustomerId = customer,
            System = system,
            ExternalId = o.ExternalId,
            Fields = o.Fields,
            Minted = minted,
        };

    static Dictionary<string, int> Reads(string system, ListedObject o) =>
        new()
        {
            [$"{system} {MostCalls.NameOf(Operation.Read)}"] = string.IsNullOrEmpty(o.CustomerId) ? 1 : LooksAtCarrier,
        };

    /// <summary>What is asked for, and the look at the object itself. <see cref="MostCalls"/> says how many calls each is.</summary>
    static Dictionary<string, int> Costs(string system, ListedObject o, Decision decision)
    {
        var costs = Reads(system, o);
        void Count(string name, Operation operation)
        {
            var what = $"{name} {MostCalls.NameOf(operation)}";
            costs[what] = costs.GetValueOrDefault(what) + 1;
        }

        foreach (var message in decision.Messages)
        {
            switch (message)
            {
                case PushCustomer push:
                    Count(push.System, push.Operation);
                    break;
                case CreateCustomer:
                    Count(SystemNames.Product, Operation.Create);
                    break;
                case UpdateCustomer:
                    Count(SystemNames.Product, Operation.Update);
                    break;
            }
        }

        return costs;
    }
}
