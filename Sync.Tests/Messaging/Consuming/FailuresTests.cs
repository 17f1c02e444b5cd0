using Npgsql;
using Sync.Messaging.Batching;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>Which of PostgreSQL's refusals speak of a message, and which of PostgreSQL itself.</summary>
public sealed class FailuresTests
{
    /// <summary>A dead letter for each message of the minute in which a password is changed would be the kernel's own mistake.</summary>
    [Theory]
    [InlineData("28P01")]
    [InlineData("28000")]
    [InlineData("57P01")]
    [InlineData("53300")]
    [InlineData("08006")]
    [InlineData("25006")]
    [InlineData("26000")]
    [InlineData("57P04")]
    [InlineData("58030")]
    public void A_message_is_not_to_blame_for_a_database_that_lets_nobody_in(string state)
    {
        var refused = new InvalidOperationException("outer", new PostgresException("no", "FATAL", "FATAL", state));

        Assert.Equal(FailureClass.Unavailable, Failures.Classify(refused, committing: false));
        Assert.Equal(FailureClass.Unavailable, Failures.OfInfrastructure(refused));
    }

    [Fact]
    public void A_statement_that_takes_too_long_is_no_database_that_is_away()
    {
        var slow = new InvalidOperationException("outer", new NpgsqlException("slow", new TimeoutException()));

        Assert.Equal(FailureClass.Transient, Failures.Classify(slow, committing: false, answered: true));
        // It never began: nobody answers, or the pool has no connection left.
        Assert.Equal(FailureClass.Unavailable, Failures.Classify(slow, committing: false));
        Assert.Equal(FailureClass.Unknown, Failures.Classify(slow, committing: true, answered: true));
        var cut = new NpgsqlException("cut", new IOException());
        Assert.Equal(FailureClass.Unavailable, Failures.Classify(cut, committing: false, answered: true));
    }

    [Theory]
    [InlineData("23505")]
    [InlineData("22001")]
    public void What_a_row_is_refused_for_is_the_message_s(string state)
    {
        var refused = new PostgresException("no", "ERROR", "ERROR", state);

        Assert.Equal(FailureClass.Deterministic, Failures.Classify(refused, committing: false));
        Assert.Null(Failures.OfInfrastructure(refused));
    }
}
