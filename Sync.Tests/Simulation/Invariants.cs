using Sync.Contracts;
using Sync.Mapping;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.FoundObjects;

namespace Sync.Tests.Simulation;

/// <summary>
/// The promises of the design, P1 to P9, as the simulation holds the shipped code to them. What must never be is looked at in
/// every step, what must come to be when inputs stop and vendors answer. Golden's own rules (it never returns to a value it
/// left, first contact never changes it) are looked at with every message, by the <see cref="Witness"/>.
/// </summary>
static class Invariants
{
    /// <summary>P5: writes at one vendor for one customer, for each edit and at the least.</summary>
    const int WritesPerEdit = 6;

    public static void AtEveryStep(World world, Witness witness)
    {
        foreach (var adapter in world.Adapters)
        {
            OneObjectOfOurs(world, adapter, witness);
            Once(world, adapter, witness);
        }
    }

    public static void AtRest(World world, Witness witness)
    {
        NothingWaits(world, witness);
        foreach (var customer in world.Customers.Where(c => c.CurrentState != nameof(Stage.Merged)))
        {
            Ended(customer, witness);
            foreach (var adapter in world.Adapters)
                InVendor(world, customer, adapter, witness);
            InProduct(world, customer, witness);
            DeletionCounts(world, customer, witness);
            Bounded(world, customer, witness);
            Forgotten(world, customer, witness);
        }

        OnePerson(world, witness);
        OneCustomer(world, witness);
        foreach (var adapter in world.Adapters)
            OneObjectOfOurs(world, adapter, witness);
        NobodysEditIsLost(world, witness);
    }

    // ---- P1: nothing accepted is lost ----

    static void NothingWaits(World world, Witness witness)
    {
        foreach (var adapter in world.Adapters)
        {
            if (adapter.Store.WorkCount > 0)
                witness.Fault("P1 work is left", $"{adapter.Name}: {adapter.Store.WorkCount} rows");
            // P9: a window in which events were lost is recorded, and read again.
            if (adapter.Gap.Count > 0 && !world.Profile.NoSweep)
                witness.Fault("P9 gap not read", $"{adapter.Name}: {adapter.Gap.Count} events");
        }

        foreach (var found in world.Objects.Where(o => o.CurrentState == "Asking"))
            witness.Fault("P1 stuck", $"object {found.Ext} of {found.System} asks {found.CustomerId}");
        foreach (var person in world.Product.People.Values)
        {
            if (world.Customer(person.Id) is not { } customer)
                witness.Fault("P1 unknown customer", person.Id);
            else if (
                customer.CurrentState != nameof(Stage.Merged)
                && customer.System(SystemNames.Product).Obs != person.Revision
            )
                witness.Fault(
                    "P1 snapshot not handled",
                    $"{person.Id}: {customer.System(SystemNames.Product).Obs} of {person.Revision}"
                );
        }
    }

    static void Ended(CustomerSync customer, Witness witness)
    {
        foreach (var (name, system) in customer.Systems)
        {
            if (system.Sent is { } sent)
                witness.Fault("P1 in flight at rest", $"{customer.CustomerId} {name}: {sent.Op}");
        }

        var kept = customer.Systems.Values.Any(s => BrakeReasons.IsRefusal(s.Brake));
        if (
            customer.CurrentState == nameof(Stage.Proposed)
            || (customer.CurrentState == nameof(Stage.Removing) && !kept)
        )
            witness.Fault("P1 stuck", $"{customer.CustomerId} is {customer.CurrentState}: {Standing(customer)}");
    }

    public static string Standing(CustomerSync customer) =>
        string.Join(
            "; ",
            customer.Systems.Select(s =>
                $"{s.Key} {s.Value.Ext} {(s.Value.Linked ? "linked " : "")}{(s.Value.Gone ? "gone " : "")}{s.Value.Brake}"
            )
        );

    // ---- P2: at most one live object per customer and system ----

    static void OneObjectOfOurs(World world, AdapterSide adapter, Witness witness)
    {
        // Where the vendor keeps no key, a request that hung may land after the look-up that did not find it: that object is
        // seen as a second one, and parked.
        // So it is when the mapping of a field was removed while the answer of a create that carries it was not known.
        if ((!world.Profile.Keys || world.Profile.FieldUnmappedLater) && adapter.Vendor.IsStripe)
            return;
        foreach (
            var twice in adapter
                .Vendor.Records.Where(r => r is { Deleted: false, MadeByUs: true, CustomerId: not null })
                .GroupBy(r => r.CustomerId)
                .Where(g => g.Count() > 1)
        )
            witness.Fault("P2 made twice", $"{adapter.Name} {twice.Key}: {string.Join(',', twice.Select(r => r.Id))}");
    }

    static void OnePerson(World world, Witness witness)
    {
        var live = world.Customers.Where(c => c.CurrentState == nameof(Stage.Live) && c.Golden.At("email") is not null);
        foreach (
            var same in live.GroupBy(c => c.Golden.At("email")!, StringComparer.OrdinalIgnoreCase)
                .Where(g => g.Count() > 1)
        )
        {
            var minted = same.Any(c => Guid.TryParse(c.CustomerId, out _));
            if (minted && !witness.Edits.Exists(e => e.Path == "email" && Alike(e.Value, same.Key)))
                witness.Fault("P2 one person, two customers", string.Join(',', same.Select(c => c.CustomerId)));
        }
    }

    /// <summary>An object is one customer's: two that write it would never end.</summary>
    static void OneCustomer(World world, Witness witness)
    {
        var slots = world
            .Customers.Where(c => c.CurrentState is nameof(Stage.Proposed) or nameof(Stage.Live))
            .SelectMany(c => c.Systems.Where(s => s.Value is { Ext: not null, Gone: false }).Select(s => (c, s)))
            .Where(x => x.s.Key != SystemNames.Product);
        foreach (var same in slots.GroupBy(x => (x.s.Key, x.s.Value.Ext)).Where(g => g.Count() > 1))
            witness.Fault(
                "P2 one object, two customers",
                $"{same.Key.Ext}: {string.Join(',', same.Select(x => x.c.CustomerId))}"
            );
    }

    // ---- P3: a command takes effect once ----

    static void Once(World world, AdapterSide adapter, Witness witness)
    {
        // Without a guard, or with keys forgotten, it can take effect twice with the same value; so it can after a restore.
        var p = world.Profile;
        if (!p.Guards || !p.Keys || p.Restores || p.Ages > 0)
            return;
        foreach (var ((id, command), times) in adapter.Vendor.Effects)
        {
            if (times > 1)
                witness.Fault("P3 effect twice", $"{adapter.Name} {id}: {command}");
        }
    }

    // ---- P4: all systems agree, or the customer is parked with a reason ----

    static void InVendor(World world, CustomerSync customer, AdapterSide adapter, Witness witness)
    {
        var system = customer.System(adapter.Name);
        var live = adapter
            .Vendor.Records.Where(r =>
                r.CustomerId == customer.CustomerId && !r.Deleted && !IsParked(world, adapter.Name, r.Id)
            )
            .ToList();
        if (live.Count > 1)
            witness.Fault(
                "P2 two objects",
                $"{customer.CustomerId} {adapter.Name}: {string.Join(',', live.Select(r => r.Id))}"
            );
        if (customer.CurrentState is nameof(Stage.Removed) or nameof(Stage.Removing))
        {
            // P6: what was removed does not come back by itself. Where the product has it again, a person is asked.
            if (live.Count > 0 && system.Brake is null && !witness.Undeleted.Contains(customer.CustomerId))
                witness.Fault("P6 resurrected", $"{customer.CustomerId} {adapter.Name}: {live[0].Id}");
            return;
        }

        var refused = customer.Systems[adapter.Name].Refused.ContainsKey(SystemState.WholeCommand);
        if (live.Count == 0 || adapter.Vendor.Find(system.Ext) is not { Deleted: false } record)
        {
            if (!refused && system.Brake != BrakeReasons.Held && !(system.Refused.Count > 0 && !system.Linked))
                witness.Fault("P4 missing", $"{customer.CustomerId} {adapter.Name}: {system.Ext}");
            return;
        }

        foreach (var (path, field) in adapter.Map.Fields)
        {
            var golden = customer.Golden.At(path);
            if (
                IsLooping(customer)
                || customer.Held.ContainsKey(path)
                || (system.Refused.TryGetValue(path, out var no) && no == golden)
            )
                continue;
            var form = field.Form.Count > 0 ? Normaliser.Stored(field, golden) : adapter.Vendor.Form(path, golden);
            if (
                record.Fields[path] != golden
                && record.Fields[path] != form
                && !Normaliser.Equal(path, golden, record.Fields[path])
            )
                witness.Fault(
                    "P4 diverged",
                    $"{customer.CustomerId} {adapter.Name} {path}: {record.Fields[path]}, golden {golden}"
                );
        }
    }

    static void InProduct(World world, CustomerSync customer, Witness witness)
    {
        var person = world.Product.People.GetValueOrDefault(customer.CustomerId);
        if (customer.CurrentState is nameof(Stage.Removed) or nameof(Stage.Removing))
        {
            var again = customer.System(SystemNames.Product).Brake == BrakeReasons.Recreated;
            if (person is { Deleted: false } && !world.Profile.OneWay && !again)
                witness.Fault("P6 resurrected", $"{customer.CustomerId} in the product");
            return;
        }

        if (customer.CurrentState != nameof(Stage.Live))
            return;
        if (person is null or { Deleted: true })
        {
            witness.Fault("P4 missing", $"{customer.CustomerId} in the product");
            return;
        }

        foreach (var path in ProductModel.Fields)
        {
            if (
                !IsLooping(customer)
                && !customer.Held.ContainsKey(path)
                && person.Fields[path] != customer.Golden.At(path)
            )
                witness.Fault(
                    "P4 diverged",
                    $"{customer.CustomerId} product {path}: {person.Fields[path]}, golden {customer.Golden.At(path)}"
                );
        }
    }

    /// <summary>Nothing is written for it until a person opens the loop brake, and the dashboard says so.</summary>
    static bool IsLooping(CustomerSync customer) => customer.Pace is { Tripped: true };

    /// <summary>An object that waits for a person with its reason, and that no customer's slot names.</summary>
    public static bool IsParked(World world, string system, string externalId) =>
        world.Objects.Any(o => o.System == system && o.Ext == externalId && o.CurrentState == "Parked")
        && !world.Customers.Any(c =>
            c.CurrentState != nameof(Stage.Merged) && c.Systems.GetValueOrDefault(system)?.Ext == externalId
        );

    // ---- P5: a bounded number of writes ----

    static void Bounded(World world, CustomerSync customer, Witness witness)
    {
        var edits = witness.Edits.Count(e => e.CustomerId == customer.CustomerId);
        var writes = world.Adapters.Sum(a => a.Vendor.Writes.GetValueOrDefault(customer.CustomerId));
        if (writes > WritesPerEdit * (edits + 3))
            witness.Fault("P5 writes", $"{customer.CustomerId}: {writes} for {edits} edits");
    }

    // ---- P6: a person's deletion counts ----

    static void DeletionCounts(World world, CustomerSync customer, Witness witness)
    {
        var id = customer.CustomerId;
        var deleted =
            witness.Deleted.Contains((id, SystemNames.Product, null))
            || world.Adapters.Any(a =>
                a.Store.Link(Sync.Adapter.Links.Lanes.Customer(id))?.ExternalId is { } ext
                && witness.Deleted.Contains((id, a.Name, ext))
            );
        var held = customer.Systems.Values.Any(s => s.Brake is not null);
        if (
            deleted
            && customer.CurrentState == nameof(Stage.Live)
            && !held
            && !witness.Undeleted.Contains(id)
            && !witness.Restored.Contains(id)
            && !witness.Recreated.Contains(id)
        )
            witness.Fault("P6 deletion ignored", id);
    }

    // ---- P6 and P10: an erased customer does not come back, and nobody keeps what was known of it ----

    static void Forgotten(World world, CustomerSync customer, Witness witness)
    {
        if (customer.EraseAskedAt is null)
            return;
        var id = customer.CustomerId;
        if (customer.CurrentState is nameof(Stage.Live) or nameof(Stage.Proposed))
            witness.Fault("P6 erased and back", $"{id} is {customer.CurrentState}");
        // A deletion that a vendor refused waits for a person, and the customer with it.
        if (customer.CurrentState != nameof(Stage.Removed))
            return;
        if (customer.ErasedAt is null)
            witness.Fault("P10 not erased", $"{id}: {Standing(customer)}");
        var known = customer.Golden.Count + customer.Held.Count;
        known += customer.Systems.Values.Sum(s => s.Base.Count + s.At.Count + s.Refused.Count);
        if (known > 0)
            witness.Fault("P10 remembered", $"{id}: {known} values in its row");
        foreach (var adapter in world.Adapters)
        {
            var lane = Sync.Adapter.Links.Lanes.Customer(id);
            // Somebody took the record out of the bin: it is the vendor's again, and waits for a person.
            if (customer.System(adapter.Name).Brake == BrakeReasons.Undeleted)
                continue;
            if (adapter.Store.Link(lane)?.Last is { Count: > 0 })
                witness.Fault("P10 remembered", $"{id}: {adapter.Name} keeps what it reported");
            if (
                adapter.Store.Ledger.Any(e => e.Lane == lane && (e.Write ?? e.Expect) is { Count: > 0 })
                || adapter.Store.Ledger.Any(e => e.Lane == lane && e.Hashes.Count > 0)
            )
                witness.Fault("P10 remembered", $"{id}: the ledger of {adapter.Name}");
        }
    }

    // ---- P7: no system stays at an older state, and no person's edit is overwritten unseen ----

    static void NobodysEditIsLost(World world, Witness witness)
    {
        for (var i = 0; i < witness.Edits.Count; i++)
        {
            var edit = witness.Edits[i];
            if (
                world.Customer(edit.CustomerId) is not { CurrentState: nameof(Stage.Live) } customer
                || customer.Held.ContainsKey(edit.Path)
                || !world.Rules.Config.System(edit.System).Maps(edit.Path)
                || (edit.ExternalId is { } ext && ext != customer.System(edit.System).Ext)
            )
                continue;
            var golden = customer.Golden.At(edit.Path);
            if (Alike(golden, edit.Value))
                continue;
            var onTopOfTheEnd = edit.On is not null && Alike(edit.On, golden);
            var replaced = witness
                .Edits.Skip(i + 1)
                .Any(e =>
                    e.CustomerId == edit.CustomerId
                    && e.Path == edit.Path
                    && e.System == edit.System
                    && Alike(e.On, edit.Value)
                );
            if (edit.System == SystemNames.Product || witness.Seen.Contains(edit.Value) || replaced)
            {
                if (onTopOfTheEnd && !replaced && !witness.Overruled.Contains(edit.Value))
                    witness.Fault("P7 edit lost after it was seen", edit.ToString());
                continue;
            }

            // A restored ledger no longer knows what a write expected to replace, so there it is only counted.
            witness.Unseen++;
            if (!world.Profile.Restores || onTopOfTheEnd)
                witness.Fault("P7 edit lost unseen", edit.ToString());
        }
    }

    static bool Alike(string? a, string? b) => string.Equals(a, b, StringComparison.OrdinalIgnoreCase);
}
