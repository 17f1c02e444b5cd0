using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Sync.Adapter.Budget;
using Sync.Adapter.Hosting;
using Sync.Adapter.Vendors;

namespace Sync.Adapter.Working;

/// <summary>
/// All calls to the vendor: gathered, bounded in number and time, guarded by the gate, checked and counted. Whatever comes
/// back is an answer for each item; nothing is thrown but cancellation.
/// </summary>
sealed class VendorCalls : IDisposable
{
    readonly IVendor _vendor;
    readonly AdapterOptions _options;
    readonly VendorGate _gate;
    readonly ApiUsage _usage;
    readonly AdapterTelemetry _telemetry;
    readonly TimeProvider _time;
    readonly ILogger _log;
    readonly SemaphoreSlim _slots;
    readonly CallQueue<Asked<string>, VendorResult> _reads;
    readonly CallQueue<Asked<FindRequest>, FindResult> _finds;
    readonly CallQueue<Asked<CreateRequest>, VendorResult> _creates;
    readonly CallQueue<Asked<UpdateRequest>, VendorResult> _updates;
    readonly CallQueue<Asked<DeleteRequest>, VendorResult> _deletes;

    public VendorCalls(
        IVendor vendor,
        AdapterOptions options,
        VendorGate gate,
        ApiUsage usage,
        AdapterTelemetry telemetry,
        TimeProvider time,
        ILogger<VendorCalls> log
    )
    {
        (_vendor, _options, _gate, _usage, _telemetry, _time, _log) = (
            vendor,
            options,
            gate,
            usage,
            telemetry,
            time,
            log
        );
        _slots = new(options.Workers);
        _reads = Queue<string, VendorResult>("read", vendor.Traits.MaxReadBatch, vendor.Read, IsOfReadItem);
        _finds = Queue<FindRequest, FindResult>("find", vendor.Traits.MaxBatch, vendor.Find, null);
        _creates = Queue<CreateRequest, VendorResult>("create", vendor.Traits.MaxBatch, vendor.Create, null);
        _updates = Queue<UpdateRequest, VendorResult>("update", vendor.Traits.MaxBatch, vendor.Update, IsOfUpdateItem);
        _deletes = Queue<DeleteRequest, VendorResult>("delete", vendor.Traits.MaxBatch, vendor.Delete, null);
    }

    /// <summary>One request, and the trace that it belongs to.</summary>
    sealed record Asked<T>(T Item, ActivityContext Trace);

    public Task Run(CancellationToken stop) =>
        Task.WhenAll(_reads.Run(stop), _finds.Run(stop), _creates.Run(stop), _updates.Run(stop), _deletes.Run(stop));

    /// <summary>Does what the round needs, and gives it the answer.</summary>
    public async Task Do(Round round, Need need, CancellationToken stop)
    {
        var trace = Activity.Current?.Context ?? default;
        switch (need)
        {
            case Need.Read read:
                round.Answer(await _reads.Ask(new(read.ExternalId, trace), stop));
                break;
            case Need.Find find:
                round.Answer(await _finds.Ask(new(find.Request, trace), stop));
                break;
            case Need.Create create:
                round.Answer(await _creates.Ask(new(create.Request, trace), stop));
                break;
            case Need.Update update:
                round.Answer(await _updates.Ask(new(update.Request, trace), stop));
                break;
            case Need.Delete delete:
                round.Answer(await _deletes.Ask(new(delete.Request, trace), stop));
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(need), need, "not a vendor's business");
        }
    }

    CallQueue<Asked<TItem>, TResult> Queue<TItem, TResult>(
        string operation,
        int max,
        Func<IReadOnlyList<TItem>, CancellationToken, Task<IReadOnlyList<TResult>>> call,
        Func<TItem, TResult, bool>? isOf
    )
        where TResult : class =>
        new(
            max,
            _slots,
            TimeSpan.FromMilliseconds(_options.GatherMs),
            _time,
            (asked, stop) => Call(operation, asked, call, isOf, stop)
        );

    async Task<IReadOnlyList<TResult>> Call<TItem, TResult>(
        string operation,
        IReadOnlyList<Asked<TItem>> asked,
        Func<IReadOnlyList<TItem>, CancellationToken, Task<IReadOnlyList<TResult>>> call,
        Func<TItem, TResult, bool>? isOf,
        CancellationToken stop
    )
        where TResult : class
    {
        using var activity = Start(operation, asked);
        var items = asked.Select(a => a.Item).ToList();
        var started = _time.GetTimestamp();
        var outcome = await _gate.Call(async token => Judge(await Answers(operation, items, call, isOf, token)), stop);
        if (outcome.Skipped is { } skipped)
            return [.. items.Select(_ => Failure<TResult>(skipped))];

        var failed = (outcome.Unanswered ?? outcome.SlowDown ?? outcome.PauseAll)?.Code;
        activity?.SetTag("sync.outcome", failed ?? "answered");
        if (failed is not null)
            activity?.SetStatus(ActivityStatusCode.Error, failed);
        _telemetry.Called(
            operation,
            failed is null ? "answered" : "failed",
            items.Count,
            _time.GetElapsedTime(started)
        );
        var results = outcome.Results.Cast<TResult>().ToList();
        var calls = results.OfType<VendorResult>().Sum(r => r.Calls);
        _usage.Count(operation, calls > 0 ? calls : 1, items.Count, results.Count(r => FailureOf(r) is not null));
        return results;
    }

    async Task<IReadOnlyList<TResult>> Answers<TItem, TResult>(
        string operation,
        List<TItem> items,
        Func<IReadOnlyList<TItem>, CancellationToken, Task<IReadOnlyList<TResult>>> call,
        Func<TItem, TResult, bool>? isOf,
        CancellationToken stop
    )
        where TResult : class
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(_options.CallTimeoutSeconds), _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop);
        IReadOnlyList<TResult> results;
        try
        {
            results = await call(items, both.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return Failed("timeout", "no answer in time");
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            _log.CallThrew(_vendor.Name, operation, e);
            return Failed("exception", $"{e.GetType().Name} in {operation}");
        }

        if (results.Count != items.Count)
        {
            var what = $"{results.Count} results for {items.Count} items";
            _log.Nonsense(_vendor.Name, operation, what);
            return Failed("nonsense", what);
        }

        if (isOf is null)
            return results;
        return
        [
            .. items.Zip(
                results,
                (item, result) =>
                {
                    if (isOf(item, result))
                        return result;
                    _log.Nonsense(_vendor.Name, operation, "a record that was not asked for");
                    return Nonsense<TResult>("nonsense", "a record that was not asked for");
                }
            ),
        ];

        IReadOnlyList<TResult> Failed(string code, string reason) =>
            [.. items.Select(_ => Nonsense<TResult>(code, reason))];
    }

    // Whether it took effect is unknown: what came back cannot be trusted, or nothing came back.
    static TResult Nonsense<TResult>(string code, string reason)
        where TResult : class => Failure<TResult>(new(FailureClass.Retry, code, reason, Definite: false));

    static TResult Failure<TResult>(VendorResult.Failed failure)
        where TResult : class =>
        typeof(TResult) == typeof(FindResult) ? (TResult)(object)new FindResult([], failure) : (TResult)(object)failure;

    static VendorResult.Failed? FailureOf(object result) =>
        result switch
        {
            VendorResult.Failed failed => failed,
            FindResult found => found.Failure,
            _ => null,
        };

    internal static CallOutcome Judge<TResult>(IReadOnlyList<TResult> results)
        where TResult : class
    {
        var failures = results.Select(r => FailureOf(r)).ToList();
        return new CallOutcome(results)
        {
            PauseAll = failures.Find(f => f?.Class == FailureClass.PauseAll),
            SlowDown = failures.Find(f => f?.Class == FailureClass.SlowDown),
            Unanswered =
                failures.Count > 0 && failures.TrueForAll(f => f?.Class == FailureClass.Retry) ? failures[0] : null,
        };
    }

    static bool IsOfReadItem(string externalId, VendorResult result) =>
        result is not VendorResult.Ok { Object: { } o } || o.ExternalId == externalId;

    static bool IsOfUpdateItem(UpdateRequest request, VendorResult result) =>
        result is not VendorResult.Ok { Object: { } o } || o.ExternalId == request.ExternalId;

    /// <summary>A call for one lane belongs to that customer's trace; one for many is linked to the first hundred.</summary>
    Activity? Start<TItem>(string operation, IReadOnlyList<Asked<TItem>> asked)
    {
        var name = $"{_vendor.Name} {operation}";
        var activity =
            asked.Count == 1
                ? AdapterTelemetry.Source.StartActivity(name, ActivityKind.Internal, asked[0].Trace)
                : AdapterTelemetry.Source.StartActivity(
                    name,
                    ActivityKind.Internal,
                    parentContext: default,
                    links: asked.Where(a => a.Trace != default).Take(100).Select(a => new ActivityLink(a.Trace))
                );
        activity?.SetTag("sync.items", asked.Count);
        return activity;
    }

    public void Dispose()
    {
        _slots.Dispose();
        _reads.Dispose();
        _finds.Dispose();
        _creates.Dispose();
        _updates.Dispose();
        _deletes.Dispose();
    }
}
