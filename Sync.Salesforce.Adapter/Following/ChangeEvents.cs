using System.Runtime.CompilerServices;
using Google.Protobuf;
using Sync.Adapter.Following;
using Sync.Adapter.Links;
using Sync.Salesforce.Adapter.Following.Wire;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>
/// Change events of Account as Salesforce's Pub/Sub API streams them, in the order of the commits. One answer is one page:
/// its replay id is stored with its hints, and only then more is asked for. Where the place is lost, the gap is recorded
/// and the stream begins with the oldest event that Salesforce still keeps: what is in it twice does no harm.
/// </summary>
sealed class ChangeEvents(
    PubSubClient client,
    SalesforceMapping mapping,
    SalesforceOptions options,
    TimeProvider time,
    ILogger<ChangeEvents> log
) : IFeed
{
    /// <summary>Events on the way at once; a stream may have 100 outstanding.</summary>
    const int Demand = 100;

    /// <summary>When no more than so many are still to come, more are asked for.</summary>
    const int Low = 50;

    /// <summary>A stream that ends in peace sooner than this is no reason to open the next one at once.</summary>
    static readonly TimeSpan Short = TimeSpan.FromSeconds(5);

    /// <summary>After the org's events of the day are used up.</summary>
    static readonly TimeSpan LongWait = TimeSpan.FromMinutes(10);

    readonly EventSchemas _schemas = new(client);
    (DateTimeOffset Until, StreamErrorRow Row)? _waits;

    public string Name => "change-events";

    public TimeSpan Every => TimeSpan.Zero;

    /// <summary>The Pub/Sub API is another service than the REST API.</summary>
    public bool IsOfTheWrittenService => false;

    public async IAsyncEnumerable<FeedPage> Follow(
        string? cursor,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var organization = await Open(cancellationToken);
        var from = cursor is null ? null : EventCursor.Read(cursor);
        var strange =
            cursor is null ? null
            : from is null ? "cursor: it cannot be read"
            : from.Organization != organization ? "organization: the cursor is of another org"
            : from.Channel != options.Channel ? "channel: the cursor is of another channel"
            : null;
        if (strange is not null)
        {
            yield return Gap(strange, from?.At, organization);
            yield break;
        }

        FormerValues former = new();
        var opened = time.GetTimestamp();
        using var stream = await Subscribe(from, cancellationToken);
        while (true)
        {
            FetchResponse? answer = null;
            StreamErrorRow? lost = null;
            try
            {
                answer = await stream.Next(cancellationToken);
            }
            catch (StreamException e) when (e.Row.Action == StreamAction.BeginAgain)
            {
                lost = e.Row;
            }
            catch (StreamException e)
            {
                throw Failed(e.Row);
            }

            if (lost is not null)
            {
                yield return Gap($"{lost.Code}: {lost.Meaning}", from?.At, organization);
                yield break;
            }

            if (answer is null)
            {
                log.StreamClosed(time.GetElapsedTime(opened));
                if (time.GetElapsedTime(opened) < Short)
                    throw Failed(StreamErrors.Closed);
                yield break;
            }

            client.Accepted();
            var page = await Page(answer, from, organization, former, cancellationToken);
            from = page.Next;
            yield return page.Page;

            // Only now: what is not stored is not followed by more, so the stream never runs ahead of the tables.
            if (answer.PendingNumRequested <= Low)
                await stream.Ask(new() { NumRequested = Demand - Math.Clamp(answer.PendingNumRequested, 0, Low) });
        }
    }

    /// <summary>Whether the channel is there and may be read, said before a stream says less.</summary>
    async Task<string> Open(CancellationToken cancellationToken)
    {
        if (_waits is { } waits && time.GetUtcNow() < waits.Until)
            throw new FeedException(waits.Row.AsFailure());
        _waits = null;
        try
        {
            var topic = await client.GetTopic(options.Channel, cancellationToken);
            if (!topic.CanSubscribe)
                throw new StreamException(StreamErrors.NotSubscribable);
            return (await client.SignIn(cancellationToken)).OrganizationId!;
        }
        catch (StreamException e)
        {
            throw Failed(e.Row);
        }
    }

    async Task<EventStream> Subscribe(EventCursor? from, CancellationToken cancellationToken)
    {
        var request = new FetchRequest { TopicName = options.Channel, NumRequested = Demand };
        if (from is null)
        {
            request.ReplayPreset = ReplayPreset.Latest;
        }
        else if (from.Replay is null)
        {
            request.ReplayPreset = ReplayPreset.Earliest;
        }
        else
        {
            request.ReplayPreset = ReplayPreset.Custom;
            request.ReplayId = ByteString.CopyFrom(from.Replay);
        }

        log.Subscribes(options.Channel, request.ReplayPreset.ToString());
        try
        {
            return await client.Subscribe(await client.SignIn(cancellationToken), request, cancellationToken);
        }
        catch (StreamException e)
        {
            throw Failed(e.Row);
        }
    }

    async Task<(FeedPage Page, EventCursor? Next)> Page(
        FetchResponse answer,
        EventCursor? from,
        string organization,
        FormerValues former,
        CancellationToken cancellationToken
    )
    {
        List<(Guid, Hint)> hints = [];
        DateTimeOffset? newest = null;
        DateTimeOffset? torn = null;
        string? gap = null;
        foreach (var item in answer.Events)
        {
            var (told, at) = await Read(item, cancellationToken);
            hints.AddRange(told.Hints.Select(h => (h.Id, former.Tell(h.Hint, at))));
            newest = at > newest || newest is null ? at ?? newest : newest;
            if (told.Gap is null)
                continue;
            former.Forget();
            log.EventTellsNothing(told.Gap, item.Event?.Id, item.Event?.SchemaId);
            (gap, torn) = (gap ?? told.Gap, at ?? torn);
        }

        // An empty answer says that all up to this place was told; without it a quiet channel's place would grow too old.
        var replay = answer.Events.Count > 0 ? answer.Events[^1].ReplayId : answer.LatestReplayId;
        var next = replay.IsEmpty
            ? from
            : new EventCursor(
                options.Channel,
                organization,
                replay.ToByteArray(),
                answer.Events.Count > 0 ? newest ?? from?.At : time.GetUtcNow()
            );
        return (
            new FeedPage
            {
                Hints = hints,
                Cursor = replay.IsEmpty ? null : next!.Write(),
                NewestAt = newest,
                Gap = gap is null ? null : new(gap, from?.At, torn ?? time.GetUtcNow()),
            },
            next
        );
    }

    /// <summary>What one event tells. That it cannot be read is a gap of its own, and stops nothing.</summary>
    async Task<(ChangeHints Told, DateTimeOffset? At)> Read(ConsumerEvent item, CancellationToken cancellationToken)
    {
        if (item.Event is not { } produced)
            return (new([], "unreadable: an answer has an event without content"), null);
        try
        {
            var schema = await _schemas.Get(produced.SchemaId, cancellationToken);
            var change = schema.Read(produced.Payload.Memory);
            var id =
                produced.Id.Length > 0
                    ? produced.Id
                    : $"{change.Header.TransactionKey}/{change.Header.SequenceNumber}/{item.ReplayId.ToBase64()}";
            return (ChangeHints.Of(change, id, schema, mapping), change.Header.At);
        }
        catch (UnreadableEventException e)
        {
            return (new([], $"unreadable: {e.Message}"), null);
        }
        catch (StreamException e)
        {
            throw Failed(e.Row);
        }
    }

    /// <summary>Stored at once, with the place to begin at: a crash right after it neither forgets nor repeats the gap.</summary>
    FeedPage Gap(string reason, DateTimeOffset? from, string organization) =>
        new()
        {
            Cursor = new EventCursor(options.Channel, organization, null, from).Write(),
            Gap = new(reason, from, time.GetUtcNow()),
        };

    FeedException Failed(StreamErrorRow row)
    {
        if (row.Action == StreamAction.Wait)
            _waits = (time.GetUtcNow() + LongWait, row);
        return new(row.AsFailure());
    }
}
