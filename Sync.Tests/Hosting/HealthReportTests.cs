using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;

namespace Sync.Tests.Hosting;

public sealed class HealthReportTests
{
    readonly FakeTimeProvider _time = new();
    readonly HealthBoard _board;
    readonly Consumer _consumer;
    readonly Lifetime _lifetime = new();
    readonly HealthReport _report;

    public HealthReportTests()
    {
        _board = new(_time) { Started = true };
        _consumer = new(_time)
        {
            State = new(ConsumerPhase.Claimed, _time.GetUtcNow(), _time.GetUtcNow(), null, null, []),
        };
        _report = new(_board, [_consumer], [], _lifetime, _time);
        _board.DatabaseAnswers(default);
        _board.KafkaAnswers();
    }

    [Fact]
    public void Claimed_and_answered_is_ready() =>
        Assert.Equal(("ready", true), (_report.Ready().Status, _report.Ready().Ok));

    [Fact]
    public void Before_the_start_checks_have_passed_it_is_alive_and_not_ready()
    {
        _board.Started = false;

        AssertNotReady("starting");
        Assert.True(_report.Live().Ok);
    }

    [Fact]
    public void A_process_that_was_never_assigned_a_partition_is_not_ready()
    {
        _consumer.Enter(ConsumerPhase.NeverAssigned);
        AssertNotReady("never-assigned");
    }

    [Fact]
    public void One_replica_more_than_partitions_is_ready_and_idle()
    {
        _consumer.Enter(ConsumerPhase.Idle);
        Assert.True(_report.Ready().Ok);
    }

    [Fact]
    public void Assigned_partitions_must_be_claimed_within_half_a_minute()
    {
        _consumer.Enter(ConsumerPhase.Assigned);
        Answered(TimeSpan.FromSeconds(30));
        Assert.True(_report.Ready().Ok);
        Answered(TimeSpan.FromSeconds(1));
        AssertNotReady("not-claimed");
    }

    [Fact]
    public void A_restored_database_that_is_not_put_right_yet_makes_a_process_not_ready_at_once()
    {
        _consumer.Enter(ConsumerPhase.Restoring);
        AssertNotReady("restoring");
    }

    [Fact]
    public void The_brake_makes_a_process_not_ready()
    {
        _consumer.State = _consumer.State with { Brake = "handler" };
        AssertNotReady("brake");
    }

    [Fact]
    public void PostgreSQL_may_be_silent_for_5_s_and_Kafka_for_15()
    {
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.True(_report.Ready().Ok);
        _time.Advance(TimeSpan.FromSeconds(1));
        AssertNotReady("database-unreachable");
        _board.DatabaseAnswers(default);
        _time.Advance(TimeSpan.FromSeconds(10));
        _board.DatabaseAnswers(default);
        // A consumer goes on polling when there is no broker: that it does says nothing.
        _consumer.State = _consumer.State with
        {
            LastPollAt = _time.GetUtcNow(),
        };
        AssertNotReady("kafka-unreachable");
        Assert.True(_report.Live().Ok);
    }

    [Fact]
    public void A_halted_partition_and_other_reasons_degrade_and_leave_it_ready()
    {
        _consumer.State = _consumer.State with { Halted = ["t[3]: stored offset beyond the log"] };
        _board.Set("outbox-late", "the oldest outbox row waits for 31 s");

        var answer = _report.Ready();

        Assert.True(answer.Ok);
        Assert.Equal("degraded", answer.Status);
        Assert.Equal(["outbox-late", "partition-halted"], answer.Reasons.Select(r => r.Code));
        _board.Set("outbox-late", null);
        Assert.Equal(["partition-halted"], _report.Ready().Reasons.Select(r => r.Code));
    }

    [Fact]
    public void A_poll_thread_that_is_silent_for_twice_the_poll_interval_is_dead_and_so_is_a_fatal_error()
    {
        _time.Advance(2 * KafkaClients.MaxPollInterval);
        Assert.True(_report.Live().Ok);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["poll-silent"], _report.Live().Reasons.Select(r => r.Code));

        _consumer.State = _consumer.State with { LastPollAt = _time.GetUtcNow(), FatalCode = "Local_Fatal" };
        Assert.Equal(["consumer-fatal"], _report.Live().Reasons.Select(r => r.Code));
    }

    [Fact]
    public void A_process_that_stops_is_alive_and_not_ready()
    {
        _lifetime.StopApplication();
        AssertNotReady("stopping");
        Assert.True(_report.Live().Ok);
    }

    void Answered(TimeSpan later)
    {
        _time.Advance(later);
        _board.DatabaseAnswers(default);
        _board.KafkaAnswers();
    }

    void AssertNotReady(string code)
    {
        var answer = _report.Ready();
        Assert.False(answer.Ok);
        Assert.Equal("not-ready", answer.Status);
        Assert.Equal([code], answer.Reasons.Select(r => r.Code));
    }

    sealed class Consumer(TimeProvider time) : IConsumerHealth
    {
        public required ConsumerState State { get; set; }

        public void Enter(ConsumerPhase phase) => State = State with { Phase = phase, Since = time.GetUtcNow() };
    }

    sealed class Lifetime : IHostApplicationLifetime
    {
        bool _stopping;

        public CancellationToken ApplicationStarted => CancellationToken.None;
        public CancellationToken ApplicationStopping => new(canceled: _stopping);
        public CancellationToken ApplicationStopped => CancellationToken.None;

        public void StopApplication() => _stopping = true;
    }
}
