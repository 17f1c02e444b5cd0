using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Sync.Contracts;
using Sync.Orchestrator;
using Sync.Orchestrator.Customers.Merging;
using Sync.Tests.Support;

namespace Sync.Tests.Orchestrator;

/// <summary>One thing that happened has one code, with direction and system, wherever one looks for it.</summary>
public sealed partial class EventCodesTests : IAsyncLifetime
{
    readonly string _trace = ActivityTraceId.CreateRandom().ToHexString();
    readonly ConcurrentQueue<string> _inTrace = [];
    readonly ConcurrentQueue<string> _inMetric = [];
    readonly ConcurrentQueue<string> _letters = [];
    readonly MeterListener _meters = new();
    ServiceTests.Stage _stage = null!;
    ActivityListener _spans = null!;

    public async ValueTask InitializeAsync()
    {
        _spans = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "MassTransit" or "sync.kernel",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = span =>
            {
                if (span.TraceId.ToHexString() != _trace)
                    return;
                foreach (var happened in span.Events)
                    _inTrace.Enqueue(
                        Key(
                            happened.Name,
                            happened.Tags.FirstOrDefault(t => t.Key == "sync.direction").Value,
                            happened.Tags.FirstOrDefault(t => t.Key == "sync.system").Value
                        )
                    );
            },
        };
        ActivitySource.AddActivityListener(_spans);
        // A window that no slow machine leaves: the second deletion is held.
        _stage = await ServiceTests.Stage.Set(
            ("Customers:DeletionBrake", "1"),
            ("Customers:DeletionWindow", "01:00:00"),
            ("Logging:LogLevel:Sync.Orchestrator", "Debug")
        );
        var meters = _stage.Services.GetRequiredService<IMeterFactory>();
        _meters.InstrumentPublished = (instrument, listener) =>
        {
            // Other tests of this process have meters of the same name.
            if (instrument.Name == "sync.orchestrator.events" && instrument.Meter.Scope == meters)
                listener.EnableMeasurementEvents(instrument);
            if (instrument.Name == "sync.kernel.dead_letters")
                listener.EnableMeasurementEvents(instrument);
        };
        _meters.SetMeasurementEventCallback<long>(
            (instrument, count, tags, _) =>
            {
                var given = tags.ToArray();
                object? Tag(string name) => Array.Find(given, tag => tag.Key == name).Value;

                for (var i = 0; i < count; i++)
                {
                    if (instrument.Name == "sync.kernel.dead_letters")
                        _letters.Enqueue($"{Tag("reason")}");
                    else
                        _inMetric.Enqueue(Key(Tag("code"), Tag("direction"), Tag("system")));
                }
            }
        );
        _meters.Start();
    }

    public async ValueTask DisposeAsync()
    {
        if (_stage is not null)
            await _stage.DisposeAsync();
        _meters.Dispose();
        _spans?.Dispose();
    }

    [Fact]
    public async Task An_event_has_the_same_code_in_timeline_log_metric_and_trace()
    {
        foreach (var id in (string[])["c-1", "c-2"])
        {
            await Snapshot(id, 1, "Ann");
            foreach (var system in (string[])["billing", "crm"])
                await Answer(system, id, """ "outcome":"done","externalId":"ext" """);
        }

        // Outward, and refused by one.
        await Snapshot("c-1", 2, "Anna");
        await Answer("billing", "c-1", """ "outcome":"done" """);
        await Answer(
            "crm",
            "c-1",
            """ "outcome":"refused","reason":"name: at most 2 characters","refused":{"name":"Anna"} """
        );
        // Inward.
        await Report("billing", "c-2", """ "externalId":"ext","fields":{"name":"Berta","email":null} """);
        await Happens("c-2", Codes.Reported);
        // The second deletion of the hour is held.
        await Report("billing", "c-1", """ "externalId":"ext","gone":true """);
        await Happens("c-1", Codes.DeletionSeen);
        await Report("billing", "c-2", """ "externalId":"ext","gone":true """);
        await Happens("c-2", Codes.DeletionHeld);

        var timeline = await _stage.Database.Scalar<string[]>(
            "select array_agg(format('%s %s %s', code, direction, coalesce(system, '-')) order by id) from sync.timeline"
        );
        foreach (
            var code in (string[])
                [
                    Codes.Snapshot,
                    Codes.CommandCreate,
                    Codes.CommandUpdate,
                    Codes.Answered,
                    Codes.AnsweredRefused,
                    Codes.Reported,
                    Codes.DeletionSeen,
                    Codes.DeletionHeld,
                ]
        )
            Assert.Contains(timeline, row => row.StartsWith($"{code} ", StringComparison.Ordinal));
        Same(timeline, _inMetric);
        // The span ends after the row is committed.
        await Eventually.Is(() => _inTrace.Count >= timeline.Length, "every span has ended");
        Same(timeline, _inTrace);
        Same(
            timeline,
            _stage
                .Logs.Of(1060)
                .Select(line => Line().Match(line.Text))
                .Select(m => Key(m.Groups["code"].Value, m.Groups["direction"].Value, m.Groups["system"].Value))
        );
        Assert.Equal(
            (long)timeline.Length,
            await _stage.Database.Scalar<long>($"select count(*) from sync.timeline where trace_id = '{_trace}'")
        );
    }

    [Fact]
    public async Task A_dead_letter_has_the_same_code_in_its_row_log_metric_and_trace()
    {
        // In no row of systems.json: no other test of this process has such a report.
        await Report("billing", "c-1", """ "externalId":"ext" """, named: "nowhere");

        await Eventually.Is(
            async () => await _stage.Database.Scalar<long>("select count(*) from dashboard.dead_letters") == 1,
            "there is a dead letter"
        );
        var code = await _stage.Database.Scalar<string>("select reason_code from dashboard.dead_letters");
        await Eventually.Is(() => _inTrace.Contains(Key(code, null, null)), "its span has ended");
        Assert.Equal("unknown-system", code);
        Assert.Contains(code, _letters);
        Assert.Contains($"Dead letter {code} ", Assert.Single(_stage.Logs.Of(4120)).Text, StringComparison.Ordinal);
    }

    static void Same(IEnumerable<string> expected, IEnumerable<string> actual) =>
        Assert.Equal(expected.Order(StringComparer.Ordinal), actual.Order(StringComparer.Ordinal));

    static string Key(object? code, object? direction, object? system) =>
        $"{code} {direction ?? "-"} {(system is null or "" or "(null)" ? "-" : system)}";

    Task Snapshot(string id, int revision, string name) =>
        Produce(
            Topics.Customers,
            id,
            "product.customer.updated.v1",
            $$"""{"customerId":"{{id}}","revision":{{revision}},"customer":{"name":"{{name}}","email":null,"phone":null} }"""
        );

    async Task Report(string system, string id, string more, string? named = null)
    {
        var obs = named is not null
            ? "1"
            : await _stage.Database.Scalar<string>(
                $"select ((systems #>> '{{systems,{system},obs}}')::bigint + 1)::text from sync.customer where customer_id = '{id}'"
            );
        await Produce(
            Topics.Reports(system),
            id,
            "sync.customer.reported.v1",
            $$"""{"system":"{{named ?? system}}","customerId":"{{id}}","generation":0,"obs":{{obs}},{{more}}}"""
        );
    }

    /// <summary>Answers the command that is in flight, once there is one.</summary>
    async Task Answer(string system, string id, string more)
    {
        var sql =
            $"select coalesce((select systems #>> '{{systems,{system},sent,id}}' from sync.customer where customer_id = '{id}'), '')";
        var command = await Eventually.Get(
            () => _stage.Database.Scalar<string>(sql),
            sent => sent.Length > 0,
            $"{system} is asked for {id}"
        );
        await Report(system, id, $""" "ack":"{command}",{more} """);
        await Eventually.Is(
            async () => await _stage.Database.Scalar<string>(sql) != command,
            $"the answer of {system} for {id} is taken"
        );
    }

    Task Happens(string id, string code) =>
        Eventually.Is(
            async () =>
                await _stage.Database.Scalar<long>(
                    $"select count(*) from sync.timeline where customer_id = '{id}' and code = '{code}'"
                ) > 0,
            $"{code} of {id}"
        );

    Task Produce(string topic, string key, string type, string body) =>
        _stage.ProduceRaw(
            topic,
            key,
            body,
            new()
            {
                ["ce_specversion"] = "1.0",
                ["ce_id"] = Guid.NewGuid().ToString(),
                ["ce_type"] = type,
                ["ce_source"] = "test",
                ["ce_time"] = "2026-01-02T03:04:05.000Z",
                ["content-type"] = "application/json",
                ["traceparent"] = $"00-{_trace}-{ActivitySpanId.CreateRandom().ToHexString()}-01",
            }
        );

    [GeneratedRegex(
        @"^Customer \S+: (?<code>\S+) (?<direction>in|out) (?<system>\S+) at revision",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture
    )]
    private static partial Regex Line();
}
