using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Systems;

namespace Sync.Sandbox.Product;

/// <summary>A live customer as the catalog shows it.</summary>
sealed record CatalogCustomer(string Id, long Revision, CustomerFields Fields);

/// <summary>Why the catalog did not do what it was asked.</summary>
enum CatalogProblem
{
    None,
    Unknown,
    Taken,
    WasDeleted,
    Full,
    OutboxFull,
}

/// <summary>
/// The reference product: customers in memory, each with a revision that rises with every change, and an outbox that
/// gets the event in the same step as the change. It does what <c>contract.md</c> asks of a product: whole snapshots, the
/// newest applied command in every one, commands applied once and field by field where the expected value still stands.
/// </summary>
sealed class ProductCatalog(IReadOnlyList<string> attributes, int seed, TimeProvider time)
{
    public const int MaxCustomers = 200_000;

    /// <summary>Applied commands that are remembered for one customer; older ones are long settled.</summary>
    public const int MaxAppliedCommands = 1_000;

    /// <summary>Answers "exists" that can be repeated word for word; an older command is decided anew.</summary>
    public const int MaxExistsAnswers = 10_000;

    readonly Lock _gate = new();
    readonly SortedDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    readonly List<Entry> _inOrder = [];
    readonly Dictionary<string, HashSet<string>> _byEmail = new(StringComparer.Ordinal);
    readonly Dictionary<Guid, CustomerExists> _existsAnswers = [];
    readonly Queue<Guid> _existsOrder = [];
    readonly Random _chance = new(seed);

    public ProductOutbox Outbox { get; } = new(time);

    /// <summary>Told of every customer as a change has left it, in that moment and under the catalog's lock.</summary>
    public Action<CatalogCustomer>? Written { get; set; }

    public int Count
    {
        get
        {
            lock (_gate)
                return _entries.Values.Count(entry => !entry.Deleted);
        }
    }

    public CatalogCustomer? Find(string id)
    {
        lock (_gate)
            return _entries.GetValueOrDefault(id) is { Deleted: false } entry ? Shown(entry) : null;
    }

    /// <summary>Live customers in the order of their ids, behind <paramref name="after"/>.</summary>
    public IReadOnlyList<CatalogCustomer> List(string? after, int limit)
    {
        lock (_gate)
        {
            return
            [
                .. _entries
                    .Values.Where(entry =>
                        !entry.Deleted && (after is null || string.CompareOrdinal(entry.Id, after) > 0)
                    )
                    .Take(limit)
                    .Select(Shown),
            ];
        }
    }

    /// <summary>Whether a live customer has this id.</summary>
    public bool Has(string id)
    {
        lock (_gate)
            return _entries.GetValueOrDefault(id) is { Deleted: false };
    }

    /// <summary>Live customers, the one that was created last first.</summary>
    public IReadOnlyList<CatalogCustomer> Newest(Func<CatalogCustomer, bool> where, int limit)
    {
        lock (_gate)
        {
            return
            [
                .. Enumerable.Reverse(_inOrder).Where(entry => !entry.Deleted).Select(Shown).Where(where).Take(limit),
            ];
        }
    }

    public (CatalogCustomer? Customer, CatalogProblem Problem) Create(
        string? id,
        IReadOnlyDictionary<string, string?> fields,
        string traceParent
    )
    {
        lock (_gate)
        {
            id ??= Mint();
            if (_entries.TryGetValue(id, out var known))
                return (null, known.Deleted ? CatalogProblem.WasDeleted : CatalogProblem.Taken);
            if (Full() is var full and not CatalogProblem.None)
                return (null, full);

            var entry = Insert(id, fields);
            Emit(entry, created: true, traceParent);
            return (Shown(entry), CatalogProblem.None);
        }
    }

    /// <summary>Changes the named fields; one that has the value already is no change, and no change is no event.</summary>
    public (CatalogCustomer? Customer, CatalogProblem Problem) Change(
        string id,
        IReadOnlyDictionary<string, string?> fields,
        string traceParent
    )
    {
        lock (_gate)
        {
            if (_entries.GetValueOrDefault(id) is not { Deleted: false } entry)
                return (null, CatalogProblem.Unknown);
            if (!Outbox.HasRoom)
                return (null, CatalogProblem.OutboxFull);
            var changed = fields.Where(field => entry.Fields.GetValueOrDefault(field.Key) != field.Value).ToList();
            if (changed.Count == 0)
                return (Shown(entry), CatalogProblem.None);

            Write(entry, changed);
            entry.Revision++;
            Emit(entry, created: false, traceParent);
            return (Shown(entry), CatalogProblem.None);
        }
    }

    public CatalogProblem Delete(string id, string traceParent)
    {
        lock (_gate)
        {
            if (_entries.GetValueOrDefault(id) is not { Deleted: false } entry)
                return CatalogProblem.Unknown;
            if (!Outbox.HasRoom)
                return CatalogProblem.OutboxFull;
            entry.Revision++;
            Bury(entry);
            Emit(entry, created: false, traceParent);
            return CatalogProblem.None;
        }
    }

    /// <summary>Applies a command, or repeats its answer when it was applied before.</summary>
    /// <returns>The outcome; null when the answer was repeated or the person exists already.</returns>
    public Outcome? Apply(CustomerCommand command, string traceParent)
    {
        lock (_gate)
        {
            if (_existsAnswers.TryGetValue(command.CommandId, out var exists))
            {
                Outbox.Add(exists, exists.CustomerId, null, traceParent);
                return null;
            }

            var entry = _entries.GetValueOrDefault(command.CustomerId);
            if (entry?.Commands.Contains(command.CommandId) == true)
            {
                Emit(entry, created: false, traceParent);
                return null;
            }

            var write = command
                .Write.Where(field => Paths.IsKnown(field.Key))
                .ToDictionary(f => f.Key, f => Clean(f.Value));
            AppliedCommand applied;
            switch (command)
            {
                case CreateCustomer when entry is null:
                    if (Namesake(write.GetValueOrDefault(Paths.Email)) is { } existing)
                    {
                        exists = new CustomerExists
                        {
                            CustomerId = command.CustomerId,
                            CommandId = command.CommandId,
                            Existing = existing,
                        };
                        _existsAnswers[command.CommandId] = exists;
                        _existsOrder.Enqueue(command.CommandId);
                        if (_existsOrder.Count > MaxExistsAnswers)
                            _existsAnswers.Remove(_existsOrder.Dequeue());
                        Outbox.Add(exists, exists.CustomerId, null, traceParent);
                        return null;
                    }

                    entry = Insert(command.CustomerId, write);
                    Remember(entry, applied = new AppliedCommand(command.CommandId, Outcome.Done, write));
                    Emit(entry, created: true, traceParent);
                    return applied.Outcome;

                case CreateCustomer when entry!.Deleted:
                    // An id is never given twice.
                    applied = new AppliedCommand(command.CommandId, Outcome.Refused);
                    break;

                case DeleteCustomer:
                    entry ??= Unknown(command.CustomerId);
                    applied = new AppliedCommand(command.CommandId, Outcome.Done);
                    if (!entry.Deleted)
                        Bury(entry);
                    break;

                case CreateCustomer
                or UpdateCustomer when entry is { Deleted: false }:
                    var written = write
                        .Where(field =>
                            entry.Fields.GetValueOrDefault(field.Key) is var now
                            && (now == field.Value || now == Clean(command.Expect.GetValueOrDefault(field.Key)))
                        )
                        .ToDictionary();
                    Write(entry, written);
                    applied = new AppliedCommand(command.CommandId, Outcome.Done, written);
                    break;

                default:
                    entry ??= Unknown(command.CustomerId);
                    applied = new AppliedCommand(command.CommandId, Outcome.Gone);
                    break;
            }

            entry.Revision++;
            Remember(entry, applied);
            Emit(entry, created: false, traceParent);
            return applied.Outcome;
        }
    }

    /// <summary>The live customer with this e-mail, compared without case and outer blanks.</summary>
    string? Namesake(string? email) =>
        EmailKey(email) is { } key && _byEmail.TryGetValue(key, out var ids)
            ? ids.Order(StringComparer.Ordinal).First()
            : null;

    CatalogProblem Full()
    {
        if (_entries.Count >= MaxCustomers)
            return CatalogProblem.Full;
        return Outbox.HasRoom ? CatalogProblem.None : CatalogProblem.OutboxFull;
    }

    Entry Insert(string id, IReadOnlyDictionary<string, string?> fields)
    {
        var entry = new Entry(id) { Revision = 1 };
        // Every member is there from the beginning: a snapshot without one would say that this product has no such field.
        foreach (var path in (ReadOnlySpan<string>)[Paths.Name, Paths.Email, Paths.Phone])
            entry.Fields[path] = null;
        foreach (var member in Paths.AddressMembers)
            entry.Fields[Paths.AddressPrefix + member] = null;
        foreach (var attribute in attributes)
            entry.Fields[Paths.AttributesPrefix + attribute] = null;
        _entries[id] = entry;
        _inOrder.Add(entry);
        Write(entry, fields);
        return entry;
    }

    /// <summary>A command for a customer that was never here is answered from a tombstone.</summary>
    Entry Unknown(string id) => _entries[id] = new Entry(id) { Deleted = true };

    void Write(Entry entry, IEnumerable<KeyValuePair<string, string?>> fields)
    {
        foreach (var (path, value) in fields)
        {
            if (path == Paths.Email)
            {
                Index(entry.Id, entry.Fields.GetValueOrDefault(path), present: false);
                Index(entry.Id, value, present: true);
            }

            entry.Fields[path] = value;
        }
    }

    void Bury(Entry entry)
    {
        Index(entry.Id, entry.Fields.GetValueOrDefault(Paths.Email), present: false);
        entry.Fields.Clear();
        entry.Deleted = true;
    }

    void Index(string id, string? email, bool present)
    {
        if (EmailKey(email) is not { } key)
            return;
        if (present)
        {
            if (!_byEmail.TryGetValue(key, out var ids))
                _byEmail[key] = ids = new HashSet<string>(StringComparer.Ordinal);
            ids.Add(id);
        }
        else if (_byEmail.TryGetValue(key, out var ids) && ids.Remove(id) && ids.Count == 0)
        {
            _byEmail.Remove(key);
        }
    }

    static void Remember(Entry entry, AppliedCommand applied)
    {
        entry.Applied = applied;
        entry.Commands.Add(applied.CommandId);
        entry.Order.Enqueue(applied.CommandId);
        if (entry.Order.Count > MaxAppliedCommands)
            entry.Commands.Remove(entry.Order.Dequeue());
    }

    void Emit(Entry entry, bool created, string traceParent)
    {
        if (!entry.Deleted)
            Written?.Invoke(Shown(entry));
        object snapshot =
            entry.Deleted
                ? new CustomerDeleted
                {
                    CustomerId = entry.Id,
                    Revision = entry.Revision,
                    Applied = entry.Applied,
                }
            : created
                ? new CustomerCreated
                {
                    CustomerId = entry.Id,
                    Revision = entry.Revision,
                    Customer = new CustomerFields(entry.Fields),
                    Applied = entry.Applied,
                }
            : new CustomerUpdated
            {
                CustomerId = entry.Id,
                Revision = entry.Revision,
                Customer = new CustomerFields(entry.Fields),
                Applied = entry.Applied,
            };
        Outbox.Add(snapshot, entry.Id, entry.Revision, traceParent);
    }

    string Mint()
    {
        Span<byte> bytes = stackalloc byte[16];
        _chance.NextBytes(bytes);
        return new Guid(bytes).ToString();
    }

    static CatalogCustomer Shown(Entry entry) => new(entry.Id, entry.Revision, new CustomerFields(entry.Fields));

    static string? EmailKey(string? email) => string.IsNullOrWhiteSpace(email) ? null : email.Trim().ToLowerInvariant();

    static string? Clean(string? value) => string.IsNullOrEmpty(value) ? null : value;

    sealed class Entry(string id)
    {
        public string Id => id;
        public long Revision { get; set; }
        public CustomerFields Fields { get; } = [];
        public bool Deleted { get; set; }
        public AppliedCommand? Applied { get; set; }
        public HashSet<Guid> Commands { get; } = [];
        public Queue<Guid> Order { get; } = [];
    }
}
