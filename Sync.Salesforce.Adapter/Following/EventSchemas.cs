using System.Collections.Concurrent;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>Schemas by id. A schema never changes: another one has another id.</summary>
sealed class EventSchemas(PubSubClient client)
{
    /// <summary>Versions of one object's events in the life of a process; more, and they are read again.</summary>
    const int Max = 200;

    readonly ConcurrentDictionary<string, Known> _known = new(StringComparer.Ordinal);

    /// <exception cref="UnreadableEventException">There is no such schema, or it is none of a change event.</exception>
    /// <exception cref="StreamException">It cannot be read now.</exception>
    public async Task<EventSchema> Get(string id, CancellationToken cancellationToken)
    {
        if (!_known.TryGetValue(id, out var known))
        {
            known = await Read(id, cancellationToken);
            if (_known.Count >= Max)
                _known.Clear();
            _known[id] = known;
        }

        return known.Schema ?? throw new UnreadableEventException(known.Fault!);
    }

    async Task<Known> Read(string id, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await client.GetSchema(id, cancellationToken);
            return new(EventSchema.Parse(answer.SchemaJson), null);
        }
        catch (UnreadableEventException e)
        {
            return new(null, e.Message);
        }
        catch (StreamException e) when (e.Row == StreamErrors.Schema)
        {
            return new(null, e.Row.Meaning);
        }
    }

    sealed record Known(EventSchema? Schema, string? Fault);
}
