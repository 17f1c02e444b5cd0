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
        if (
            what > 1 - Profile.Recreates
            && Product.People.Values.Where(p => p.Deleted).ToList() is { Count: > 0 } former
            && Chance.Of(former) is var again
            && !Product.HasLive(again.Fields["email"])
        )
        {
            Note($"the product makes {again.Id} again");
            Witness.Recreated.Add(again.Id);
            Product.PersonRecreates(again, NewFields(null));
            return;
        }

        if (what < Profile.Creates + Profile.Deletes)
        {
            Note($"a person deletes {person.Id} in the product");
            Witness.Deleted.Add((person.Id, SystemNamesProduct, null));
            Witness.Recreated.Remove(person.Id);
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
            && vendor.Records.Where(r => r is { Deleted: true, MergedInto: null }).ToList() is { Count: > 0 } bin
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

        if (
            !vendor.IsStripe
            && live.Count > 1
            && what <= 1 - Profile.Undeletes
            && what > 1 - Profile.Undeletes - Profile.Merges
        )
        {
            var winner = Chance.Of(live.Where(r => r != record).ToList());
            Note($"a person merges {record.Id} of {record.CustomerId} into {winner.Id} of {winner.CustomerId}");
            vendor.PersonMerges(record, winner);
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

    /// <summary>An automation of the vendor changes what we wrote; for everybody else that is an edit like any other.</summary>
    void Automate(AdapterSide adapter)
    {
        var vendor = adapter.Vendor;
        var record = vendor.Automations.Dequeue();
        if (record.Deleted)
            return;
        var value = vendor.Form("phone", Value("phone"));
        Note($"an automation sets phone of {record.Id} of {record.CustomerId} in {adapter.Name} to {value}");
        Witness.Edits.Add(new(adapter.Name, record.CustomerId, record.Id, "phone", value!, record.Fields["phone"]));
        vendor.Automated++;
        vendor.PersonEdits(record, "phone", value);
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

        ReleaseLoops();
        Match();
        Erase();
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
                Chance.Below(Profile.Recreates > 0 ? 4 : 3) switch
                {
                    3 => new AllowRecreate
                    {
                        CustomerId = customer.CustomerId,
                        RequestedBy = "sim",
                        RequestedAt = OrchestratorNow,
                    },
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

    /// <summary>How often operators let a loop go on, before they look for what causes it.</summary>
    const int MaxReleases = 2;

    /// <summary>Loop brakes that an operator opened.</summary>
    public int Releases { get; private set; }

    void ReleaseLoops()
    {
        if (Releases >= MaxReleases || Customers.FirstOrDefault(c => c.Pace is { Tripped: true }) is not { } looping)
            return;
        if (Calm || Chance.Is(0.1))
            _acts.Add(() =>
            {
                Releases++;
                Ask(
                    new ReleaseLoop
                    {
                        CustomerId = looping.CustomerId,
                        RequestedBy = "sim",
                        RequestedAt = OrchestratorNow,
                    }
                );
            });
    }

    /// <summary>Who looks after objects sees one that waits: it is this customer's, or is to be read again, or is left so.</summary>
    void Match()
    {
        if (!Profile.Matchers || Calm || !Chance.Is(0.15))
            return;
        var objects = Objects.ToList();
        var customers = Customers.Where(c => c.CurrentState == nameof(Stage.Live)).ToList();
        if (objects.Count == 0 || customers.Count == 0)
            return;
        _acts.Add(() =>
        {
            var found = Chance.Of(objects);
            Ask(
                Chance.Below(3) switch
                {
                    0 => new RetryObject
                    {
                        System = found.System,
                        ExternalId = found.Ext,
                        RequestedBy = "sim",
                        RequestedAt = OrchestratorNow,
                    },
                    1 => new IgnoreObject
                    {
                        System = found.System,
                        ExternalId = found.Ext,
                        RequestedBy = "sim",
                        RequestedAt = OrchestratorNow,
                    },
                    _ => new LinkTo
                    {
                        System = found.System,
                        ExternalId = found.Ext,
                        CustomerId = Chance.Of(customers).CustomerId,
                        RequestedBy = "sim",
                        RequestedAt = OrchestratorNow,
                    },
                }
            );
        });
    }

    void Erase()
    {
        if (Profile.Erases == 0 || Calm || !Chance.Is(Profile.Erases) || !Customers.Any())
            return;
        _acts.Add(() =>
        {
            var customer = Chance.Of(Customers.ToList());
            Witness.Erased.Add(customer.CustomerId);
            Ask(
                new Erase
                {
                    CustomerId = customer.CustomerId,
                    RequestedBy = "sim",
                    RequestedAt = OrchestratorNow,
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

    void Ask(object request)
    {
        Note($"an operator asks {request}");
        Send(request);
    }
}
