using System.Text;
using System.Text.Json.Nodes;
using Sync.Stripe.Adapter.Webhooks;
using Sync.Tests.Sandbox;

namespace Sync.Tests.Clients;

/// <summary>Clients that others wrote notice no difference between the sandbox and what it plays.</summary>
public sealed class OtherClientsTests
{
    [Fact]
    public async Task Stripes_client_for_node_works_and_takes_deliveries_for_genuine()
    {
        OtherClients.Need();
        await using var sandbox = await TestSandbox.Start();

        Assert.Equal(11, (await OtherClients.Run("stripe.cjs", sandbox.Host)).Count);
    }

    [Fact]
    public async Task What_stripes_client_for_node_signs_is_genuine_for_the_adapter_and_nothing_else_is()
    {
        OtherClients.Need();

        var signed = (await OtherClients.Run("stripe-sign.cjs")).Select(line => JsonNode.Parse(line)!).ToList();

        Assert.Equal(5, signed.Count);
        foreach (var line in signed)
        {
            var (text, header, secret) = ((string)line["body"]!, (string)line["header"]!, (string)line["secret"]!);
            var body = Encoding.UTF8.GetBytes(text);
            var now = TimeProvider.System.GetUtcNow();
            SignatureVerdict Check(byte[] bytes, string[] secrets, DateTimeOffset at) =>
                Signature.Check(bytes, header, secrets, at);

            Assert.Equal(SignatureVerdict.Valid, Check(body, [secret], now));
            Assert.Equal(SignatureVerdict.Valid, Check(body, ["whsec_rolled", secret], now));
            Assert.Equal(SignatureVerdict.Wrong, Check(body, ["whsec_rolled"], now));
            Assert.Equal(SignatureVerdict.Wrong, Check([.. body, (byte)'\n'], [secret], now));
            Assert.Equal(SignatureVerdict.OutOfTime, Check(body, [secret], now.AddMinutes(6)));
        }
    }

    [Fact]
    public async Task Jsforce_works()
    {
        OtherClients.Need();
        await using var sandbox = await TestSandbox.Start();

        Assert.Equal(9, (await OtherClients.Run("jsforce.cjs", sandbox.Host)).Count);
    }

    [Fact]
    public async Task Salesforces_pub_sub_client_for_node_subscribes_decodes_and_replays()
    {
        OtherClients.Need();
        await using var sandbox = await TestSandbox.Start(TestSandbox.Quiet with { SalesforceKeepaliveSeconds = 1 });

        Assert.Equal(9, (await OtherClients.Run("pubsub.cjs", sandbox.Host)).Count);
    }
}
