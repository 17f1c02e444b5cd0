using Microsoft.Extensions.Logging;
using Polly;
using Polly.CircuitBreaker;
using Sync.Adapter.Hosting;
using Sync.Adapter.Vendors;

namespace Sync.Adapter.Working;

/// <summary>
/// Whether the vendor may be called at all. Three things close it: it does not answer (a circuit breaker), it limits us (all
/// lanes slow down), or nothing can work until somebody acts (a pause, probed once in a while). An open circuit is workers
/// that take nothing; what waits is rows.
/// </summary>
sealed class VendorGate
{
    /// <summary>Below this no call waits so long that its lease runs out.</summary>
    static readonly TimeSpan LongestSlowDown = TimeSpan.FromSeconds(15);
    static readonly TimeSpan FirstSlowDown = TimeSpan.FromMilliseconds(500);
    static readonly TimeSpan LongestBreak = TimeSpan.FromSeconds(15);

    readonly Lock _lock = new();
    readonly string _system;
    readonly AdapterOptions _options;
    readonly TimeProvider _time;
    readonly ILogger _log;
    readonly IAdapterHealth _health;
    readonly ResiliencePipeline<CallOutcome> _breaker;
    DateTimeOffset _brokenUntil;
    bool _broken;
    DateTimeOffset _slowUntil;
    TimeSpan _slow = FirstSlowDown;
    DateTimeOffset _pausedUntil;
    VendorResult.Failed? _pause;

    public VendorGate(
        string system,
        AdapterOptions options,
        TimeProvider time,
        ILogger<VendorGate> log,
        IAdapterHealth health
    )
    {
        (_system, _options, _time, _log, _health) = (system, options, time, log, health);
        _breaker = new ResiliencePipelineBuilder<CallOutcome> { TimeProvider = time }
            .AddCircuitBreaker(
                new CircuitBreakerStrategyOptions<CallOutcome>
                {
                    FailureRatio = 0.8,
                    MinimumThroughput = 8,
                    SamplingDuration = TimeSpan.FromSeconds(10),
                    BreakDurationGenerator = args =>
                    {
                        var doubled = TimeSpan.FromSeconds(Math.Pow(2, Math.Min(args.HalfOpenAttempts, 10)));
                        return new(doubled < LongestBreak ? doubled : LongestBreak);
                    },
                    ShouldHandle = args => new(args.Outcome.Result is { Unanswered: not null }),
                    OnOpened = args =>
                    {
                        Opened(args.BreakDuration, args.Outcome.Result?.Unanswered?.Code ?? "unavailable");
                        return default;
                    },
                    OnClosed = _ =>
                    {
                        Closed();
                        return default;
                    },
                }
            )
            .Build();
    }

    /// <summary>How many lanes may be taken now: none, one as a probe, or all that are wanted.</summary>
    public int Lanes(int wanted, int inHand)
    {
        lock (_lock)
        {
            var now = _time.GetUtcNow();
            if (now < _slowUntil)
                return 0;
            if (_pause is not null)
                return now >= _pausedUntil && inHand == 0 ? 1 : 0;
            if (_broken)
                return now >= _brokenUntil && inHand == 0 ? 1 : 0;
            return wanted;
        }
    }

    /// <summary>From now until the vendor may be called again; zero when it may.</summary>
    public TimeSpan Remaining
    {
        get
        {
            lock (_lock)
            {
                var until = _slowUntil;
                if (_pause is not null && _pausedUntil > until)
                    until = _pausedUntil;
                if (_broken && _brokenUntil > until)
                    until = _brokenUntil;
                var left = until - _time.GetUtcNow();
                return left > TimeSpan.Zero ? left : TimeSpan.Zero;
            }
        }
    }

    /// <summary>Waits until the vendor may be called.</summary>
    public async Task Opens(CancellationToken cancellationToken)
    {
        while (Remaining is var left && left > TimeSpan.Zero)
            await Task.Delay(left, _time, cancellationToken);
    }

    /// <summary>A call that was not made through this gate was answered, which closes a circuit and ends a pause.</summary>
    public Task Answered() => Told(new CallOutcome([]));

    /// <summary>
    /// A call that was not made through this gate failed. What is wrong with that call alone, a permission for instance,
    /// pauses nothing else: the vendor's writers find out for themselves.
    /// </summary>
    public Task Failed(VendorResult.Failed failure) =>
        failure.Class switch
        {
            FailureClass.SlowDown => Told(new CallOutcome([]) { SlowDown = failure }),
            FailureClass.Retry => Told(new CallOutcome([]) { Unanswered = failure }),
            _ => Task.CompletedTask,
        };

    async Task Told(CallOutcome outcome)
    {
        try
        {
            await _breaker.ExecuteAsync((told, _) => ValueTask.FromResult(told), outcome, CancellationToken.None);
        }
        catch (BrokenCircuitException)
        {
            // It is open already.
            return;
        }

        Learn(outcome);
    }

    /// <summary>Makes the call, unless the gate is closed: then the outcome is a failure that says that nothing was called.</summary>
    public async Task<CallOutcome> Call(
        Func<CancellationToken, Task<CallOutcome>> call,
        CancellationToken cancellationToken
    )
    {
        await WaitWhileSlow(cancellationToken);
        if (Paused() is { } paused)
            return paused;

        CallOutcome outcome;
        try
        {
            outcome = await _breaker.ExecuteAsync(async (state, token) => await state(token), call, cancellationToken);
        }
        catch (BrokenCircuitException)
        {
            return CallOutcome.NotMade(NotCalled.Circuit);
        }

        Learn(outcome);
        return outcome;
    }

    CallOutcome? Paused()
    {
        lock (_lock)
            return _pause is { } pause && _time.GetUtcNow() < _pausedUntil
                ? CallOutcome.NotMade(NotCalled.Configuration(pause))
                : null;
    }

    async Task WaitWhileSlow(CancellationToken cancellationToken)
    {
        TimeSpan left;
        lock (_lock)
            left = _slowUntil - _time.GetUtcNow();
        if (left > TimeSpan.Zero)
            await Task.Delay(left, _time, cancellationToken);
    }

    void Learn(CallOutcome outcome)
    {
        var now = _time.GetUtcNow();
        lock (_lock)
        {
            if (outcome.PauseAll is { } pause)
            {
                var probe = TimeSpan.FromSeconds(_options.PauseProbeSeconds);
                if (_pause is null || now >= _pausedUntil)
                    _log.Paused(_system, pause.Code, pause.Reason, probe);
                _pause = pause;
                _pausedUntil = now + probe;
                _health.Set("vendor-configuration", $"{_system}: configuration: {pause.Code}");
            }
            else if (_pause is not null && outcome.Unanswered is null && outcome.SlowDown is null)
            {
                _pause = null;
                _log.PauseEnded(_system);
                _health.Set("vendor-configuration", null);
            }

            if (outcome.SlowDown is { } limited)
            {
                // Calls that were under way together are one sign, not several.
                if (now >= _slowUntil)
                {
                    _slowUntil = now + _slow;
                    _log.SlowsDown(_system, limited.Code, _slow);
                    _slow = _slow * 2 < LongestSlowDown ? _slow * 2 : LongestSlowDown;
                    _health.Set("vendor-limit", $"{_system}: {limited.Code}");
                }
            }
            else if (outcome.Unanswered is null && now >= _slowUntil)
            {
                if (_slow != FirstSlowDown)
                    _health.Set("vendor-limit", null);
                _slow = FirstSlowDown;
            }
        }
    }

    void Opened(TimeSpan duration, string code)
    {
        lock (_lock)
        {
            _broken = true;
            _brokenUntil = _time.GetUtcNow() + duration;
        }

        _log.CircuitOpened(_system, duration, code);
        _health.Set("vendor-unavailable", $"{_system}: {code}");
    }

    void Closed()
    {
        lock (_lock)
            _broken = false;
        _log.CircuitClosed(_system);
        _health.Set("vendor-unavailable", null);
    }
}

/// <summary>Where the adapter says what is wrong but needs no restart.</summary>
interface IAdapterHealth
{
    /// <summary>Sets a reason, or clears it with null.</summary>
    void Set(string code, string? detail);
}

/// <summary>One call, whatever it was about.</summary>
sealed record CallOutcome(IReadOnlyList<object> Results)
{
    /// <summary>Nothing came back that tells of the customers: the call failed as a whole and may be repeated.</summary>
    public VendorResult.Failed? Unanswered { get; init; }
    public VendorResult.Failed? SlowDown { get; init; }
    public VendorResult.Failed? PauseAll { get; init; }

    /// <summary>Set when the vendor was not called.</summary>
    public VendorResult.Failed? Skipped { get; init; }

    public static CallOutcome NotMade(VendorResult.Failed why) => new([]) { Skipped = why };
}

/// <summary>Failures that mean: the vendor was not called. They say nothing about the lane.</summary>
static class NotCalled
{
    const string CircuitCode = "circuit-open";
    const string ConfigurationPrefix = "configuration:";

    public static readonly VendorResult.Failed Circuit = new(
        FailureClass.Retry,
        CircuitCode,
        "the vendor does not answer; nothing was called",
        Definite: true
    );

    public static VendorResult.Failed Configuration(VendorResult.Failed cause) =>
        new(FailureClass.PauseAll, ConfigurationPrefix + cause.Code, cause.Reason, Definite: true);

    public static bool Is(VendorResult.Failed failure) =>
        failure.Code == CircuitCode || failure.Code.StartsWith(ConfigurationPrefix, StringComparison.Ordinal);

    /// <summary>What stands in <c>link.reason</c>: a code, never more.</summary>
    public static string Reason(VendorResult.Failed failure) =>
        failure.Class == FailureClass.PauseAll && !Is(failure) ? ConfigurationPrefix + failure.Code : failure.Code;
}
