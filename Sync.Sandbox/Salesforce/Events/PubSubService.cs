using Google.Protobuf;
using Grpc.Core;
using Sync.Sandbox.Salesforce.Events.Wire;
using Api = Sync.Sandbox.Salesforce.Events.Wire.PubSub;

namespace Sync.Sandbox.Salesforce.Events;

/// <summary>The Pub/Sub API. Publishing and managed subscriptions are not played: they are answered as unimplemented.</summary>
sealed class PubSubService(PubSub pubSub) : Api.PubSubBase
{
    /// <summary>Events that may be outstanding in one stream; who asks for more gets these.</summary>
    const int MaxRequested = 100;

    /// <summary>Events in one answer; the rest of what was asked for comes in the next.</summary>
    const int MaxInAnswer = 50;

    /// <summary>A stream that wants nothing for so long is closed.</summary>
    static readonly TimeSpan IdleAtMost = TimeSpan.FromSeconds(60);

    public override Task<TopicInfo> GetTopic(TopicRequest request, ServerCallContext context) =>
        Call(
            "topic",
            context,
            () =>
            {
                CheckTopic(request.TopicName);
                return new TopicInfo
                {
                    TopicName = request.TopicName,
                    TenantGuid = SalesforceOrg.OrganizationId,
                    CanSubscribe = true,
                    SchemaId = pubSub.Org.Schema.Id,
                    RpcId = RpcId(context),
                };
            }
        );

    public override Task<SchemaInfo> GetSchema(SchemaRequest request, ServerCallContext context) =>
        Call(
            "schema",
            context,
            () =>
                new SchemaInfo
                {
                    SchemaId = request.SchemaId,
                    SchemaJson =
                        pubSub.Org.FindSchema(request.SchemaId)
                        ?? throw PubSubProblem.Wrong("schema.validation.failed", "there is no such schema"),
                    RpcId = RpcId(context),
                }
        );

    public override async Task Subscribe(
        IAsyncStreamReader<FetchRequest> requestStream,
        IServerStreamWriter<FetchResponse> responseStream,
        ServerCallContext context
    )
    {
        try
        {
            await pubSub.Enter("subscribe", context);
            if (!await requestStream.MoveNext(context.CancellationToken))
                throw PubSubProblem.Wrong("subscription.fetch.request.invalid", "no request came");
            var cut = pubSub.Opened();
            try
            {
                using var ends = CancellationTokenSource.CreateLinkedTokenSource(cut, context.CancellationToken);
                await new Subscription(pubSub, requestStream, responseStream, RpcId(context)).Run(ends.Token);
            }
            catch (OperationCanceledException) when (cut.IsCancellationRequested)
            {
                context.GetHttpContext().Abort();
                throw;
            }
            finally
            {
                pubSub.Closed();
            }

            pubSub.Left(StatusCode.OK);
        }
        catch (RpcException problem)
        {
            pubSub.Left(problem.StatusCode);
            throw;
        }
    }

    async Task<T> Call<T>(string operation, ServerCallContext context, Func<T> answer)
    {
        try
        {
            await pubSub.Enter(operation, context);
            var result = answer();
            pubSub.Left(StatusCode.OK);
            return result;
        }
        catch (RpcException problem)
        {
            pubSub.Left(problem.StatusCode);
            throw;
        }
    }

    static void CheckTopic(string topic)
    {
        if (topic.Length == 0)
            throw PubSubProblem.Wrong("topic.validation.empty", "the topic is empty");
        if (!PubSub.Topics.Contains(topic))
            throw PubSubProblem.Of(StatusCode.NotFound, "topic.not.found", "there is no such topic");
    }

    static string RpcId(ServerCallContext context) => context.GetHttpContext().TraceIdentifier;

    /// <summary>One stream: what was asked for and not yet given, and the place reached.</summary>
    sealed class Subscription(
        PubSub pubSub,
        IAsyncStreamReader<FetchRequest> requests,
        IServerStreamWriter<FetchResponse> responses,
        string rpcId
    )
    {
        readonly Lock _gate = new();
        readonly EventBus _bus = pubSub.Org.Events;
        string _topic = "";
        int _wanted;
        bool _over;
        RpcException? _wrong;
        TaskCompletionSource _asked = New();

        public async Task Run(CancellationToken cancellationToken)
        {
            var first = requests.Current;
            CheckTopic(first.TopicName);
            _topic = first.TopicName;
            var place = Begin(first);
            // Taken before anybody can know that the stream has begun: a clock moved right after that counts.
            var quietSince = pubSub.Clock.GetUtcNow();
            pubSub.Begun();
            Ask(first);
            var reading = Read(cancellationToken);
            try
            {
                await Send(place, quietSince, cancellationToken);
            }
            finally
            {
                // Reading ends with the call; what it ended with was looked at, or does not matter any more.
                _ = reading.ContinueWith(
                    static task => _ = task.Exception,
                    CancellationToken.None,
                    TaskContinuationOptions.OnlyOnFaulted,
                    TaskScheduler.Default
                );
            }
        }

        long Begin(FetchRequest first)
        {
            switch (first.ReplayPreset)
            {
                case ReplayPreset.Earliest:
                    return 0;
                case ReplayPreset.Custom when first.ReplayId.IsEmpty:
                    throw PubSubProblem.Wrong(
                        "subscription.fetch.replayid.validation.failed",
                        "a replay id is required with CUSTOM"
                    );
                case ReplayPreset.Custom:
                    return _bus.Find(first.ReplayId.Span)
                        ?? throw PubSubProblem.Wrong(
                            "subscription.fetch.replayid.corrupted",
                            "the replay id is not valid, or too old"
                        );
                default:
                    return _bus.Mark();
            }
        }

        async Task Read(CancellationToken cancellationToken)
        {
            try
            {
                while (await requests.MoveNext(cancellationToken))
                    Ask(requests.Current);
                lock (_gate)
                    _over = true;
            }
            catch (RpcException wrong)
            {
                lock (_gate)
                    _wrong = wrong;
            }
            finally
            {
                Wake();
            }
        }

        /// <summary>Later requests add to the demand; the topic stays, and where to begin is read of the first alone.</summary>
        void Ask(FetchRequest request)
        {
            if (request.TopicName.Length > 0 && request.TopicName != _topic)
                throw PubSubProblem.Wrong("subscription.fetch.topic.mismatch", "a stream has one topic");
            if (request.NumRequested <= 0)
            {
                throw PubSubProblem.Wrong(
                    "subscription.fetch.requested.events.invalid",
                    "num_requested must be greater than 0"
                );
            }

            lock (_gate)
                _wanted = (int)Math.Min(MaxRequested, (long)_wanted + request.NumRequested);
            Wake();
        }

        async Task Send(long place, DateTimeOffset quietSince, CancellationToken cancellationToken)
        {
            while (true)
            {
                // Asked before looking, so that what comes between the two is not slept over.
                var (changed, asked) = (_bus.Changed, Asked());
                int wanted;
                bool over;
                lock (_gate)
                {
                    if (_wrong is not null)
                        throw _wrong;
                    (wanted, over) = (_wanted, _over);
                }

                if (over && wanted == 0)
                    return;
                var (events, next) = pubSub.Silent ? ([], null) : _bus.After(place, Math.Min(wanted, MaxInAnswer));
                var now = pubSub.Clock.GetUtcNow();
                if (events.Count > 0)
                {
                    place = events[^1].Place;
                    await Answer(events, place, cancellationToken);
                    quietSince = now;
                    continue;
                }

                var due = quietSince + (wanted > 0 ? pubSub.Keepalive : IdleAtMost);
                if (now >= due && !pubSub.Silent)
                {
                    if (wanted == 0)
                        return;
                    place = _bus.MarkBehind(place);
                    await Answer([], place, cancellationToken);
                    quietSince = now;
                    continue;
                }

                if (next is { } soon && soon < due)
                    due = soon;
                using var wait = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                var time = pubSub.Silent
                    ? Task.Delay(Timeout.InfiniteTimeSpan, pubSub.Clock, wait.Token)
                    : Task.Delay(due - now, pubSub.Clock, wait.Token);
                // Looked at once more: a clock that moved before the timer was set does not let it ring.
                if (pubSub.Silent || pubSub.Clock.GetUtcNow() < due)
                    await Task.WhenAny(changed, asked, time);
                await wait.CancelAsync();
                cancellationToken.ThrowIfCancellationRequested();
            }
        }

        async Task Answer(IReadOnlyList<BusEntry> events, long latest, CancellationToken cancellationToken)
        {
            int left;
            lock (_gate)
                left = _wanted -= events.Count;
            var response = new FetchResponse
            {
                LatestReplayId = ByteString.CopyFrom(EventBus.ReplayId(latest)),
                PendingNumRequested = left,
                RpcId = rpcId,
            };
            foreach (var entry in events)
            {
                response.Events.Add(
                    new ConsumerEvent
                    {
                        ReplayId = ByteString.CopyFrom(EventBus.ReplayId(entry.Place)),
                        Event = new ProducerEvent
                        {
                            Id = entry.Id,
                            SchemaId = entry.SchemaId,
                            Payload = ByteString.CopyFrom(entry.Payload),
                        },
                    }
                );
            }

            await responses.WriteAsync(response, cancellationToken);
        }

        Task Asked()
        {
            lock (_gate)
                return _asked.Task;
        }

        void Wake()
        {
            TaskCompletionSource asked;
            lock (_gate)
                (asked, _asked) = (_asked, New());
            asked.SetResult();
        }

        static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
