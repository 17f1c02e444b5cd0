using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sync.Messaging.Hosting;
using Sync.Tests.Messaging.Delivering;
using Sync.Tests.Support;

namespace Sync.Tests.Hosting;

public sealed class SettingsTests
{
    const string Secret = "p4ss-w0rd";

    static HostApplicationBuilder Builder(Dictionary<string, string?> settings, CapturedLogs logs) =>
        PingProcess.Builder(settings, logs);

    [Fact]
    public async Task Every_fault_of_every_setting_is_named_at_once_and_no_value_is()
    {
        var logs = new CapturedLogs();

        var code = await SyncProcess.Run(
            Builder(
                new()
                {
                    ["Kafka:Partitions"] = $"many{Secret}",
                    ["Kafka:SecurityProtocol"] = "SaslSsl",
                    ["Kafka:SaslMechanism"] = "Plain",
                    ["Kafka:SaslPassword"] = Secret,
                    ["Kafka:Consumer:AUTO_OFFSET_RESET"] = "earliest",
                    ["Kafka:Producer:PARTITIONER"] = "random",
                    ["Kafka:Client:SOKET_TIMEOUT_MS"] = "1",
                    ["Database:Url"] = $"postgresql://user:{Secret}@/nowhere?what={Secret}",
                    ["Management:Port"] = "70000",
                    ["Management:Address"] = $"{Secret}",
                    ["Sync:Replica"] = $"-{Secret}",
                    ["Database:MigrateOnStart"] = Secret,
                },
                logs
            ),
            []
        );

        Assert.Equal(SyncProcess.Refused, code);
        var faults = logs.Of(4162).Select(l => l.Text).ToList();
        Assert.Contains(faults, f => f.Contains("KAFKA__BOOTSTRAP: is missing", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.Contains("KAFKA__PARTITIONS: is not a number", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.Contains("KAFKA__SASLUSERNAME: is missing", StringComparison.Ordinal));
        Assert.Contains(
            faults,
            f =>
                f.Contains(
                    "KAFKA__CONSUMER__AUTO_OFFSET_RESET: auto.offset.reset must stay error: any other value jumps",
                    StringComparison.Ordinal
                )
        );
        Assert.Contains(faults, f => f.Contains("KAFKA__PRODUCER__PARTITIONER", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.Contains("KAFKA__CLIENT__SOKET_TIMEOUT_MS", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.Contains("DATABASE__URL", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.Contains("MANAGEMENT__PORT", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.Contains("MANAGEMENT__ADDRESS", StringComparison.Ordinal));
        Assert.Contains(faults, f => f.Contains("SYNC__REPLICA", StringComparison.Ordinal));
        Assert.Contains(
            faults,
            f => f.Contains("DATABASE__MIGRATEONSTART: is no setting of this process", StringComparison.Ordinal)
        );
        Assert.Equal(11, faults.Count);
        Assert.DoesNotContain(faults, f => f.Contains(Secret, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_setting_that_is_blank_counts_as_not_set()
    {
        var logs = new CapturedLogs();

        await SyncProcess.Run(
            Builder(
                new()
                {
                    ["Kafka:Bootstrap"] = " ",
                    ["Kafka:Partitions"] = "",
                    ["Database:Url"] = "",
                },
                logs
            ),
            []
        );

        Assert.Equal(2, logs.Of(4162).Count());
    }

    [Theory]
    [InlineData("enable.auto.offset.store", "true")]
    [InlineData("partition.assignment.strategy", "cooperative-sticky")]
    [InlineData("auto.offset.reset", "latest")]
    public void What_the_consumer_s_promises_rest_on_cannot_be_overridden(string name, string value) =>
        Assert.NotEmpty(
            new Sync.Messaging.Kafka.KafkaOptions
            {
                Bootstrap = "b:1",
                Consumer = new() { [name.Replace('.', '_').ToUpperInvariant()] = value },
            }.Validate(new(new object()))
        );

    [Theory]
    [InlineData("enable.idempotence", "false")]
    [InlineData("message.timeout.ms", "1000")]
    [InlineData("acks", "1")]
    public void What_the_producer_s_promises_rest_on_cannot_be_overridden(string name, string value) =>
        Assert.NotEmpty(
            new Sync.Messaging.Kafka.KafkaOptions
            {
                Bootstrap = "b:1",
                Producer = new() { [name.Replace('.', '_').ToUpperInvariant()] = value },
            }.Validate(new(new object()))
        );

    [Theory]
    [InlineData(
        "postgresql://app:s%40cret@db.example:5433/sync?sslmode=require",
        "db.example",
        5433,
        "sync",
        "app",
        "s@cret"
    )]
    [InlineData("postgres://db.example/sync", "db.example", 5432, "sync", null, null)]
    [InlineData("Host=db;Port=1;Database=d;Username=u;Password=p", "db", 1, "d", "u", "p")]
    public void The_database_is_named_by_a_url_or_by_an_Npgsql_string(
        string url,
        string host,
        int port,
        string database,
        string? user,
        string? password
    )
    {
        var connection = new DatabaseOptions { Url = url }.Connection("sync/test/a");

        Assert.Equal(host, connection.Host);
        Assert.Equal(port, connection.Port);
        Assert.Equal(database, connection.Database);
        Assert.Equal(user, connection.Username);
        Assert.Equal(password, connection.Password);
        Assert.False(connection.IncludeErrorDetail);
        Assert.False(connection.LogParameters);
        Assert.Contains("idle_in_transaction_session_timeout", connection.Options, StringComparison.Ordinal);
        // Statements stay prepared from one use of a connection to the next.
        Assert.True(connection.NoResetOnClose);
        Assert.True(connection.MaxAutoPrepare > 0);
    }

    [Fact]
    public void What_the_url_says_of_prepared_statements_stands() =>
        Assert.Equal(
            7,
            new DatabaseOptions { Url = "Host=db;Database=d;Max Auto Prepare=7" }
                .Connection("a")
                .MaxAutoPrepare
        );

    [Fact]
    public void Behind_a_pooler_nothing_depends_on_the_session()
    {
        var connection = new DatabaseOptions { Url = "Host=db;Database=d", Pooler = true }.Connection("a");

        Assert.Equal(0, connection.MaxAutoPrepare);
        Assert.Null(connection.Options);
    }
}
