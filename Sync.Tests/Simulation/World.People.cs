using Sync.Contracts.Requests;
using Sync.Orchestrator.Customers;
using Retry = Sync.Contracts.Requests.Retry;

namespace Sync.Tests.Simulation;

sealed partial class World
{
    int _values;

    /// <summary>No value occurs twice, so that one that comes back is seen; in mixed case, so that vendors store other forms.</summary>
    string Value(string path) =>
        path == "email" ? $"eT{++_values}@x.org" : $"{(path == "attributes.tier" ? 't' : path[0])}T{++_values}";

    Dictionary<string, string?> NewFields(string? email)
    {
        var fields = ProductModel.Fields.ToDictionary(f => f, f => (string?)Value(f));
        if (email is not null)
            fields["email"] = email;
        return fields;
    }

    /// <summary>Somebody does something in one of the three systems.</summary>
    void Person()
    {
        var what = Chance.Unit();
        var where = Chance.Below(3);
        if (what < Profile.Creates || (Product.People.Count == 0 && !Adapters.Any(a => a.Vendor.Records.Any())))
            PersonCreates(where);
        else if (where == 2)
            InProduct(what);
        else
            InVendor(Adapters[where], what);
    }

    void PersonCreates(int where)
    {
        var emails = Product
            .People.Values.Select(p => p.Fields["email"])
            .Concat(Adapters.SelectMany(a => a.Vendor.Records.Select(r => r.Fields["email"])))
            .OfType<string>()
            .ToList();
        var fields = NewFields(emails.Count > 0 && Chance.Is(Profile.SameEmail) ? Chance.Of(emails) : null);
        if (where < 2)
            Adapters[where].Vendor.PersonCreates(fields, customerId: null);
        else if (!Product.HasLive(fields["email"]))
            Product.PersonCreates($"c{Product.People.Count + 1}", fields);
    }

    void InProduct(double what)
    {
        var live = Product.People.Values.Where(p => !p.Deleted).ToList();
        if (live.Count == 0)
            return;
        var person = Chance.Of(live);
        if (what < Profile.Creates + Profile.Deletes)
        {
            Note($"a person deletes {person.Id} in the product");
            Witness.Deleted.Add((person.Id, SystemNamesProduct, null));
            Product.PersonDeletes(person);
            return;
        }

        var path = Chance.Of(ProductModel.Fields);
        var value = Value(path);
        Note($"a person sets {path} of {person.Id} in the product from {person.Fields[path]} to {value}");
        Witness.Edits.Add(new(SystemNamesProduct, person.Id, null, path, value, person.Fields[path]));
        Product.PersonEdits(person, path, value);
    }

    const string SystemNamesProduct = Sync.Contracts.SystemNames.Product;

    void InVendor(AdapterSide adapter, double what)
    {
        var vendor = adapter.Vendor;
        if (
            !vendor.IsStripe
            && what > 1 - Profile.Undeletes
            && vendor.Records.Where(r => r.Deleted).ToList() is { Count: > 0 } bin
        )
        {
            var back = Chance.Of(bin);
            // The external id is unique among those that are there.
            if (back.CustomerId is not null && vendor.Records.Any(r => r.CustomerId == back.CustomerId && !r.Deleted))
                return;
            Note($"a person takes {back.Id} of {back.CustomerId} out of salesforce's bin");
            if (back.CustomerId is not null)
                Witness.Undeleted.Add(back.CustomerId);
            vendor.PersonUndeletes(back);
            return;
        }

        var live = vendor.Records.Where(r => !r.Deleted).ToList();
        if (live.Count == 0)
            return;
        var record = Chance.Of(live);
        if (vendor.IsStripe && record.CustomerId is not null && what > 1 - Profile.Clones)
        {
            Note($"a person copies {record.Id} of {record.CustomerId} in stripe");
            vendor.PersonCreates(record.Fields, record.CustomerId);
            return;
        }

        if (what < Profile.Creates + Profile.Deletes)
        {
            Note($"a person deletes {record.Id} of {record.CustomerId} in {adapter.Name}");
            if (record.CustomerId is not null)
                Witness.Deleted.Add((record.CustomerId, adapter.Name, record.Id));
            vendor.PersonDeletes(record);
            return;
        }

        var path = Chance.Of(record.Fields.Keys.ToList());
        var value = vendor.Form(path, Value(path));
        Note(
            $"a person sets {path} of {record.Id} of {record.CustomerId} in {adapter.Name} from {record.Fields[path]} to {value}"
        );
        Witness.Edits.Add(new(adapter.Name, record.CustomerId, record.Id, path, value!, record.Fields[path]));
        vendor.PersonEdits(record, path, value);
    }

    /// <summary>An operator sees what waits for a person, and decides it one way or the other.</summary>
    void Operate()
    {
        foreach (var customer in Customers)
        {
            if (customer.Systems.Any(s => s.Value.Brake == BrakeReasons.Held) && (Calm || Chance.Is(0.1)))
            {
                var held = customer.Systems.First(s => s.Value.Brake == BrakeReasons.Held).Key;
                if (!Waits(customer.CustomerId) && customer.CurrentState == nameof(Stage.Live))
                    _acts.Add(() => ReleaseHeld(customer, held));
            }

            if (customer.Held.Count > 0 && !Calm && Chance.Is(0.1))
                _acts.Add(() =>
                {
                    var field = Chance.Of(customer.Held.Keys.ToList());
                    var side = Chance.Of(customer.Held[field].Keys.ToList());
                    Ask(
                        new TakeSide
                        {
                            CustomerId = customer.CustomerId,
                            Field = field,
                            Side = side,
                            RequestedBy = "sim",
                            RequestedAt = OrchestratorNow,
                        }
                    );
                });
        }

        if (!Profile.Operators || Calm || !Chance.Is(0.15) || !Customers.Any())
            return;
        _acts.Add(() =>
        {
            var customer = Chance.Of(Customers.ToList());
            string? system = Chance.Below(3) switch
            {
                0 => "stripe",
                1 => "salesforce",
                _ => null,
            };
            Ask(
                Chance.Below(3) switch
                {
                    0 => new Retry
                    {
                        CustomerId = customer.CustomerId,
                        System = system,
                        RequestedBy = "sim",
                        RequestedAt = OrchestratorNow,
                    },
                    1 => new Resync
                    {
                        CustomerId = customer.CustomerId,
                        System = system,
                        RequestedBy = "sim",
                        RequestedAt = OrchestratorNow,
                    },
                    _ => new Ignore
                    {
                        CustomerId = customer.CustomerId,
                        RequestedBy = "sim",
                        RequestedAt = OrchestratorNow,
                    },
                }
            );
        });
    }

    bool Waits(string customerId) =>
        _topics.TryGetValue(("requests", customerId), out var channel) && channel.Waiting.Any(m => m is Release);

    void ReleaseHeld(CustomerSync customer, string system)
    {
        // Restored only where nobody else deleted it too: that would be another decision.
        var others = customer.Systems.Any(s => s.Key != system && s.Value.Gone);
        var restore = !others && !Profile.OneWay && Chance.Is(0.5) || (Profile.OneWay && Chance.Is(0.5));
        if (restore)
            Witness.Restored.Add(customer.CustomerId);
        Ask(
            new Release
            {
                CustomerId = customer.CustomerId,
                System = system,
                Spread = !restore,
                RequestedBy = "sim",
                RequestedAt = OrchestratorNow,
            }
        );
    }

    void Ask(OperatorRequest request)
    {
        Note($"an operator asks {request}");
        Send(request);
    }
}
