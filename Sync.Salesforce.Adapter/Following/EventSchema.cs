using Avro;
using Avro.Generic;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>An event or a schema that cannot be read. The message is a reason without values.</summary>
sealed class UnreadableEventException(string reason) : Exception(reason);

/// <summary>
/// One version of an object's change events. Fields have no fixed places: another field in the org is another schema, so
/// everything is found by name.
/// </summary>
sealed class EventSchema
{
    /// <summary>Salesforce's own schemas have some hundred kilobytes at most.</summary>
    const int MaxJson = 4 * 1024 * 1024;

    /// <summary>Records inside records. Deeper ones, and those that hold themselves, are no change event's.</summary>
    const int MaxDepth = 8;

    const string HeaderName = "ChangeEventHeader";

    readonly List<(string Name, GenericDatumReader<object?> Reader)> _fields = [];
    readonly Dictionary<string, int> _indexes = new(StringComparer.OrdinalIgnoreCase);
    readonly Dictionary<int, List<string>> _parts = [];

    EventSchema(string json)
    {
        if (json.Length > MaxJson)
            throw new UnreadableEventException("the schema is too large");
        if (Schema.Parse(json) is not RecordSchema record)
            throw new UnreadableEventException("the schema is no record");
        CheckDepth(record, 0);
        foreach (var field in record.Fields)
        {
            _indexes[field.Name] = _fields.Count;
            if (Record(field.Schema) is { } compound && field.Name != HeaderName)
                _parts[_fields.Count] = compound.Fields.ConvertAll(part => part.Name);
            _fields.Add((field.Name, new(field.Schema, field.Schema)));
        }

        // The header comes first in every schema of Salesforce: what follows it may be unreadable, and it is still known
        // whose the change is.
        if (_fields.Count == 0 || _fields[0].Name != HeaderName)
            throw new UnreadableEventException("the schema does not begin with a ChangeEventHeader");
    }

    public int Fields => _fields.Count;

    /// <exception cref="UnreadableEventException">It is no schema of a change event.</exception>
    public static EventSchema Parse(string json)
    {
        try
        {
            return new(json);
        }
        catch (Exception e) when (e is not UnreadableEventException)
        {
            throw new UnreadableEventException($"the schema is no Avro ({e.GetType().Name})");
        }
    }

    public string NameOf(int index) => _fields[index].Name;

    /// <summary>The parts of a compound field in their order; null for a plain one.</summary>
    public IReadOnlyList<string>? PartsOf(int index) => _parts.GetValueOrDefault(index);

    /// <summary>
    /// Where a field of the object stands in an event: an address is one compound field there, and BillingCity is the City
    /// of its BillingAddress. Null when events do not carry it.
    /// </summary>
    public EventPath? Find(string field)
    {
        if (_indexes.TryGetValue(field, out var index))
            return new(NameOf(index), null);
        foreach (var (compound, parts) in _parts)
        {
            var name = NameOf(compound);
            if (!name.EndsWith("Address", StringComparison.Ordinal))
                continue;
            var prefix = name[..^"Address".Length];
            if (!field.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
                continue;
            var part = parts.Find(p => p.Equals(field[prefix.Length..], StringComparison.OrdinalIgnoreCase));
            if (part is not null)
                return new(name, part);
        }

        return null;
    }

    /// <exception cref="UnreadableEventException">Not even the header can be read.</exception>
    public ChangeEvent Read(ReadOnlyMemory<byte> payload)
    {
        var decoder = new BoundedDecoder(payload);
        ChangeHeader header;
        try
        {
            header = ChangeHeader.Of(_fields[0].Reader.Read(null, decoder) as GenericRecord);
        }
        catch (Exception e) when (e is not UnreadableEventException)
        {
            throw new UnreadableEventException($"the event's header does not fit its schema ({e.GetType().Name})");
        }

        try
        {
            Dictionary<string, object?> values = new(StringComparer.Ordinal);
            foreach (var (name, reader) in _fields.Skip(1))
                values[name] = reader.Read(null, decoder);
            return new(header, decoder.AtEnd ? values : null);
        }
        catch (Exception)
        {
            return new(header, null);
        }
    }

    static RecordSchema? Record(Schema schema) =>
        schema switch
        {
            RecordSchema record => record,
            UnionSchema union => union.Schemas.OfType<RecordSchema>().FirstOrDefault(),
            _ => null,
        };

    static void CheckDepth(Schema schema, int depth)
    {
        if (depth > MaxDepth)
            throw new UnreadableEventException("the schema is nested too deep");
        switch (schema)
        {
            case RecordSchema record:
                foreach (var field in record.Fields)
                    CheckDepth(field.Schema, depth + 1);
                break;
            case UnionSchema union:
                foreach (var branch in union.Schemas)
                    CheckDepth(branch, depth + 1);
                break;
            case ArraySchema array:
                CheckDepth(array.ItemSchema, depth + 1);
                break;
            case MapSchema map:
                CheckDepth(map.ValueSchema, depth + 1);
                break;
        }
    }
}

/// <param name="Part">Of a compound field; null for a plain one.</param>
readonly record struct EventPath(string Field, string? Part);

/// <param name="Values">By field; null when only the header could be read.</param>
sealed record ChangeEvent(ChangeHeader Header, IReadOnlyDictionary<string, object?>? Values)
{
    /// <summary>The value of a field; false when it is no text, so that it cannot be compared with what an answer says.</summary>
    public bool TryText(EventPath path, out string? text)
    {
        text = null;
        if (Values is null || !Values.TryGetValue(path.Field, out var value))
            return false;
        if (path.Part is not null && value is not null)
        {
            if (value is not GenericRecord compound || !compound.TryGetValue(path.Part, out value))
                return false;
        }

        if (value is not (null or string))
            return false;
        text = value is string { Length: > 0 } some ? some : null;
        return true;
    }
}

/// <summary>What a change event says about the change itself.</summary>
sealed record ChangeHeader(string Entity, IReadOnlyList<string> RecordIds, string ChangeType, DateTimeOffset At)
{
    public string TransactionKey { get; init; } = "";
    public int SequenceNumber { get; init; }
    public string CommitUser { get; init; } = "";
    public string ChangeOrigin { get; init; } = "";

    /// <summary>Bitmaps; see <see cref="FieldBitmap"/>.</summary>
    public IReadOnlyList<string> Changed { get; init; } = [];

    public IReadOnlyList<string> Nulled { get; init; } = [];
    public IReadOnlyList<string> Diff { get; init; } = [];

    /// <exception cref="UnreadableEventException">It lacks what every header has.</exception>
    public static ChangeHeader Of(GenericRecord? record)
    {
        if (record is null)
            throw new UnreadableEventException("the event has no header");
        if (
            Get(record, "entityName") is not string entity
            || Get(record, "recordIds") is not object[] ids
            || Get(record, "commitTimestamp") is not long at
        )
            throw new UnreadableEventException("the event's header lacks entityName, recordIds or commitTimestamp");
        var type = Get(record, "changeType") switch
        {
            GenericEnum symbol => symbol.Value,
            string text => text,
            _ => throw new UnreadableEventException("the event's header lacks changeType"),
        };
        if (at < 0 || at > DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())
            throw new UnreadableEventException("the event's commitTimestamp is no time");
        return new(entity, Texts(ids), type, DateTimeOffset.FromUnixTimeMilliseconds(at))
        {
            TransactionKey = Get(record, "transactionKey") as string ?? "",
            SequenceNumber = Get(record, "sequenceNumber") as int? ?? 0,
            CommitUser = Get(record, "commitUser") as string ?? "",
            ChangeOrigin = Get(record, "changeOrigin") as string ?? "",
            Changed = Texts(Get(record, "changedFields") as object[]),
            Nulled = Texts(Get(record, "nulledFields") as object[]),
            Diff = Texts(Get(record, "diffFields") as object[]),
        };
    }

    static object? Get(GenericRecord record, string name) => record.TryGetValue(name, out var value) ? value : null;

    static List<string> Texts(object[]? items) => [.. (items ?? []).OfType<string>()];
}
