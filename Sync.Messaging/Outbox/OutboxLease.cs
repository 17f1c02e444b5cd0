using Microsoft.Extensions.Logging;
using Npgsql;
using Sync.Messaging.Hosting;

namespace Sync.Messaging.Outbox;

/// <summary>
/// The right to send, one holder a schema. A row instead of an advisory lock: it can be seen, survives a dropped
/// connection, and a restarted replica takes its own back at once.
/// </summary>
sealed class OutboxLease(
    NpgsqlDataSource database,
    OutboxSql sql,
    string schema,
    string owner,
    TimeProvider time,
    DeliveryMetrics metrics,
    CrashPoints crash,
    ILogger logger
)
{
    public static readonly TimeSpan Length = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan RenewEvery = TimeSpan.FromSeconds(3);

    /// <summary>With less left, nothing is sent: it could land after the next owner's newer messages.</summary>
    public static readonly TimeSpan SafeToSend = TimeSpan.FromSeconds(5);

    // Bounds one statement of the lease; the lease itself bounds the tries.
    const int CommandTimeoutSeconds = 3;
    bool _first = true;
    long _epoch;
    long _renewedAt;

    public long Epoch => _epoch;

    /// <summary>By this host's monotonic clock, counted from before the renewal was asked for: never too long.</summary>
    public TimeSpan Left => Length - time.GetElapsedTime(Volatile.Read(ref _renewedAt));

    public async Task<bool> Take(CancellationToken cancellationToken)
    {
        var asked = time.GetTimestamp();
        await using var command = Command(sql.TakeLease);
        command.Parameters.Add(new() { Value = owner });
        command.Parameters.Add(new() { Value = _first });
        var epoch = (long?)await command.ExecuteScalarAsync(cancellationToken);
        // Only a process's first take may take its own name's lease: later, that name under a newer epoch is another process.
        _first = false;
        if (epoch is not { } taken)
            return false;
        _epoch = taken;
        Volatile.Write(ref _renewedAt, asked);
        metrics.LeaseChanged("taken");
        logger.LeaseTaken(schema, owner, taken);
        return true;
    }

    /// <summary>Renews until it is lost or the token ends; answers why it was lost.</summary>
    public async Task<string> Keep(CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(Left < Length - RenewEvery ? RenewEvery / 6 : RenewEvery, time, cancellationToken);
            await crash.Pass("lease-renew");
            try
            {
                if (!await Renew(cancellationToken))
                    return "another replica has it";
            }
            catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
            {
                if (Left <= TimeSpan.Zero)
                    return "PostgreSQL did not answer in time";
            }
        }
    }

    public void Lost(string cause)
    {
        metrics.LeaseChanged("lost");
        logger.LeaseLost(schema, owner, _epoch, cause);
    }

    /// <summary>At a stop: the next owner need not wait for the end of the lease.</summary>
    public async Task GiveBack()
    {
        await using var command = Command(sql.GiveLeaseBack);
        command.Parameters.Add(new() { Value = owner });
        command.Parameters.Add(new() { Value = _epoch });
        if (await command.ExecuteNonQueryAsync(CancellationToken.None) > 0)
            metrics.LeaseChanged("given-back");
    }

    async Task<bool> Renew(CancellationToken cancellationToken)
    {
        var asked = time.GetTimestamp();
        await using var command = Command(sql.RenewLease);
        command.Parameters.Add(new() { Value = owner });
        command.Parameters.Add(new() { Value = _epoch });
        if (await command.ExecuteNonQueryAsync(cancellationToken) == 0)
            return false;
        Volatile.Write(ref _renewedAt, asked);
        return true;
    }

    NpgsqlCommand Command(string text)
    {
        var command = database.CreateCommand(text);
        command.CommandTimeout = CommandTimeoutSeconds;
        return command;
    }
}
