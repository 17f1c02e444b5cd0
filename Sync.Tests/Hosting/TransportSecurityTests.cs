using System.Net;
using System.Net.Sockets;
using Confluent.Kafka;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Tests.Messaging.Delivering;
using Sync.Tests.Support;

namespace Sync.Tests.Hosting;

/// <summary>What the settings about TLS and SASL do, seen by the first bytes on the wire.</summary>
public sealed class TransportSecurityTests
{
    /// <summary>TLS begins with a handshake record; Kafka's own protocol with the length of a request, whose first byte is 0.</summary>
    [Theory]
    [InlineData("Ssl", true)]
    [InlineData("SaslSsl", true)]
    [InlineData("Plaintext", false)]
    [InlineData("SaslPlaintext", false)]
    public async Task Kafka_is_spoken_to_as_the_setting_says(string protocol, bool tls)
    {
        using var door = new Door();
        var clients = Clients(
            new()
            {
                ["Kafka:Bootstrap"] = $"127.0.0.1:{door.Port}",
                ["Kafka:SecurityProtocol"] = protocol,
                ["Kafka:SaslMechanism"] = protocol.StartsWith("Sasl", StringComparison.Ordinal) ? "ScramSha512" : null,
                ["Kafka:SaslUsername"] = "sync",
                ["Kafka:SaslPassword"] = "hush",
            }
        );
        using var producer = new ProducerBuilder<byte[], byte[]>(clients.Producer())
            .SetLogHandler((_, _) => { })
            .SetErrorHandler((_, _) => { })
            .Build();

        Assert.Equal(tls ? 0x16 : 0x00, (await door.First())[0]);
    }

    [Fact]
    public void Every_client_of_Kafka_has_the_same_credentials_and_authority()
    {
        var clients = Clients(
            new()
            {
                ["Kafka:Bootstrap"] = "b:1",
                ["Kafka:SecurityProtocol"] = "SaslSsl",
                ["Kafka:SaslMechanism"] = "Plain",
                ["Kafka:SaslUsername"] = "sync",
                ["Kafka:SaslPassword"] = "hush",
                ["Kafka:SslCaLocation"] = "/etc/ssl/own.pem",
            }
        );

        foreach (
            var config in (ClientConfig[])[clients.Client(), clients.Admin(), clients.Consumer("g"), clients.Producer()]
        )
        {
            Assert.Equal(
                (SecurityProtocol.SaslSsl, SaslMechanism.Plain, "sync", "hush", "/etc/ssl/own.pem"),
                (
                    config.SecurityProtocol,
                    config.SaslMechanism,
                    config.SaslUsername,
                    config.SaslPassword,
                    config.SslCaLocation
                )
            );
        }
    }

    /// <summary>PostgreSQL's client asks for TLS before it says who it is, or does not ask at all.</summary>
    [Theory]
    [InlineData("postgresql://app:hush@127.0.0.1:$port/sync?sslmode=require", true)]
    [InlineData("postgresql://app:hush@127.0.0.1:$port/sync?sslmode=verify-full", true)]
    [InlineData("Host=127.0.0.1;Port=$port;Database=sync;Username=app;Password=hush;SSL Mode=VerifyCA", true)]
    [InlineData("postgresql://app:hush@127.0.0.1:$port/sync?sslmode=disable", false)]
    public async Task PostgreSQL_is_spoken_to_as_the_address_says(string url, bool tls)
    {
        using var door = new Door();
        var connection = new DatabaseOptions
        {
            Url = url.Replace("$port", $"{door.Port}", StringComparison.Ordinal),
        }.Connection("test");
        connection.Timeout = 30;
        await using var source = NpgsqlDataSource.Create(connection.ConnectionString);
        var opening = source.OpenConnectionAsync(TestContext.Current.CancellationToken).AsTask();

        var first = await door.First();
        door.Dispose();

        byte[] request = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
        Assert.Equal(tls, first.AsSpan().StartsWith(request));
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => opening);
    }

    [Fact]
    public void The_certificates_of_PostgreSQL_s_address_reach_the_client()
    {
        var connection = new DatabaseOptions
        {
            Url =
                "postgresql://db/sync?sslmode=verify-full&sslrootcert=/run/ca.pem&sslcert=/run/me.pem&sslkey=/run/me.key",
        }.Connection("test");

        Assert.Equal(
            (SslMode.VerifyFull, "/run/ca.pem", "/run/me.pem", "/run/me.key"),
            (connection.SslMode, connection.RootCertificate, connection.SslCertificate, connection.SslKey)
        );
    }

    static KafkaClients Clients(Dictionary<string, string?> settings)
    {
        var builder = PingProcess.Builder(settings, new CapturedLogs());
        builder.Configuration.AddInMemoryCollection([new("Sync:Replica", "a")]);
        return builder.Services.BuildServiceProvider().GetRequiredService<KafkaClients>();
    }

    /// <summary>Takes what comes first and answers nothing.</summary>
    sealed class Door : IDisposable
    {
        readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        TcpClient? _client;

        public Door() => _listener.Start();

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public async Task<byte[]> First()
        {
            _client = await _listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
            var buffer = new byte[8];
            await _client.GetStream().ReadExactlyAsync(buffer, TestContext.Current.CancellationToken);
            return buffer;
        }

        public void Dispose()
        {
            _client?.Dispose();
            _listener.Dispose();
        }
    }
}
