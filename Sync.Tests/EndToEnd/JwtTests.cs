using System.Security.Cryptography;
using Sync.Sandbox.Stack;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary>Salesforce's adapter as a process that has no secret, only a key.</summary>
[Collection(EndToEndCollection.Name)]
public sealed class JwtTests
{
    [Fact]
    public async Task The_adapter_signs_in_with_a_key_and_works()
    {
        using var key = RSA.Create(2048);
        using var app = TestCertificate.Of(key);
        await using var postgres = await TestPostgres.Create();
        var options = RunningStack.Options(postgres, "jwt");
        await using var stack = await SyncStack.Create(
            options with
            {
                Sandbox = options.Sandbox with { SalesforceCertificateFile = app.CertificateFile },
                SalesforceSettings = new Dictionary<string, string>(options.SalesforceSettings)
                {
                    ["SALESFORCE__CLIENTSECRET"] = "",
                    ["SALESFORCE__JWTKEYFILE"] = app.KeyFile,
                    ["SALESFORCE__USERNAME"] = "integration@sandbox.invalid",
                },
            },
            TestContext.Current.CancellationToken
        );

        stack.Salesforce.Start();
        await stack.Salesforce.WaitUntilReady(TestContext.Current.CancellationToken);

        // The org was looked at, and change events flow: both need a token.
        await Eventually.Is(
            () => stack.Sandbox.Calls.Of("salesforce").Operations.ContainsKey("account.describe"),
            "the org is described"
        );
        await Eventually.Is(
            async () => (await Log(stack)).Contains("\"event\":2510", StringComparison.Ordinal),
            "the adapter subscribes"
        );
        Assert.Contains("\"event\":2502", await Log(stack), StringComparison.Ordinal);
        // No line of the key stands anywhere in what it says.
        var secret = (await File.ReadAllLinesAsync(app.KeyFile, TestContext.Current.CancellationToken))[3];
        Assert.DoesNotContain(secret, await Log(stack), StringComparison.Ordinal);
    }

    static async Task<string> Log(SyncStack stack)
    {
        await using var file = new FileStream(
            stack.Salesforce.LogFile,
            FileMode.Open,
            FileAccess.Read,
            FileShare.ReadWrite
        );
        using var reader = new StreamReader(file);
        return await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
    }
}
