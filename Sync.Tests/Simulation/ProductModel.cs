using Sync.Contracts.Customers;
using Sync.Contracts.Systems;

namespace Sync.Tests.Simulation;

/// <summary>The product: whole snapshots with a rising revision, commands applied once, the newest one named in each snapshot.</summary>
sealed class ProductModel(Profile profile, Action<string, object> emit, Action<string> note)
{
    public sealed class Person
    {
        public required string Id { get; init; }
        public required Dictionary<string, string?> Fields { get; init; }
        public long Revision { get; set; }
        public bool Deleted { get; set; }
        public AppliedCommand? Applied { get; set; }
        public HashSet<Guid> Done { get; } = [];
    }

    public OrderedDictionary<string, Person> People { get; } = [];

    public static readonly string[] Fields = ["name", "email", "phone", "attributes.tier"];

    public bool HasLive(string? email) => People.Values.Any(p => !p.Deleted && IsSame(p.Fields["email"], email));

    /// <summary>A vendor stores another case of the same address: a product that compared it as text would know nobody.</summary>
    static bool IsSame(string? a, string? b) => string.Equals(a, b, StringComparison.OrdinalIgnoreCase);

    public void PersonCreates(string id, Dictionary<string, string?> fields)
    {
        var person = new Person { Id = id, Fields = fields };
        People.Add(id, person);
        note($"product {id} is made: {VendorModel.Text(fields)}");
        Emit(person);
    }

    public void PersonEdits(Person person, string path, string? value)
    {
        person.Fields[path] = value;
        Emit(person);
    }

    public void PersonRecreates(Person person, Dictionary<string, string?> fields)
    {
        person.Deleted = false;
        foreach (var (path, value) in fields)
            person.Fields[path] = value;
        Emit(person);
    }

    public void PersonDeletes(Person person)
    {
        person.Deleted = true;
        Emit(person);
    }

    public void Consume(CustomerCommand command)
    {
        var person = People.GetValueOrDefault(command.CustomerId);
        if (person is not null && person.Done.Contains(command.CommandId))
        {
            Emit(person);
            return;
        }

        switch (command)
        {
            case CreateCustomer when Existing(command) is { } existing:
                emit(
                    command.CustomerId,
                    new CustomerExists
                    {
                        CustomerId = command.CustomerId,
                        CommandId = command.CommandId,
                        Existing = existing.Id,
                    }
                );
                return;
            case CreateCustomer when person is null:
                person = new Person
                {
                    Id = command.CustomerId,
                    Fields = Fields.ToDictionary(f => f, f => command.Write.GetValueOrDefault(f)),
                };
                People.Add(person.Id, person);
                note($"product makes {person.Id}: {VendorModel.Text(person.Fields)}");
                Apply(person, command, Outcome.Done, command.Write);
                return;
            case CreateCustomer:
                Apply(person!, command, Outcome.Done, []);
                return;
            case var _ when person is null:
                return;
            case DeleteCustomer:
                person.Deleted = true;
                Apply(person, command, Outcome.Done, []);
                return;
            case var _ when person.Deleted:
                Apply(person, command, Outcome.Gone, []);
                return;
            default:
                var written = command
                    .Write.Where(w =>
                        profile.ProductBlind
                        || person.Fields.GetValueOrDefault(w.Key) == command.Expect.GetValueOrDefault(w.Key)
                    )
                    .ToDictionary(w => w.Key, w => w.Value);
                foreach (var (path, value) in written)
                    person.Fields[path] = value;
                Apply(person, command, Outcome.Done, written);
                return;
        }
    }

    Person? Existing(CustomerCommand command) =>
        profile.Exists
            ? People.Values.FirstOrDefault(p =>
                !p.Deleted
                && p.Id != command.CustomerId
                && IsSame(p.Fields["email"], command.Write.GetValueOrDefault("email"))
            )
            : null;

    void Apply(Person person, CustomerCommand command, Outcome outcome, Dictionary<string, string?> written)
    {
        person.Done.Add(command.CommandId);
        person.Applied = profile.NoAck ? null : new AppliedCommand(command.CommandId, outcome, written);
        note($"product {person.Id} applies {VendorModel.Text(written)} of {VendorModel.Text(command.Write)}");
        Emit(person, rises: !profile.RevisionsOfPeopleOnly);
        if (profile.NoStickyAck)
            person.Applied = null;
    }

    void Emit(Person person, bool rises = true)
    {
        if (rises)
            person.Revision++;
        emit(
            person.Id,
            person.Deleted
                ? new CustomerDeleted
                {
                    CustomerId = person.Id,
                    Revision = person.Revision,
                    Applied = person.Applied,
                }
                : new CustomerUpdated
                {
                    CustomerId = person.Id,
                    Revision = person.Revision,
                    Customer = new CustomerFields(person.Fields),
                    Applied = person.Applied,
                }
        );
    }
}
