using System.Diagnostics;
using System.Text.Json.Nodes;
using Sync.Sandbox;
using Sync.Tests.Support;

namespace Sync.Tests.Clients;

/// <summary>
/// Runs a script of this folder on Node, against a sandbox or alone. <c>./sync test</c> says where the packages lie, or why
/// there are none.
/// </summary>
static class OtherClients
{
    /// <summary>A script takes two seconds; so long only on a machine that has much else to do.</summary>
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    /// <summary>Skips the test where Node or the packages could not be had.</summary>
    public static void Need()
    {
        if (Environment.GetEnvironmentVariable("SYNC_TEST_CLIENTS") is { Length: > 0 })
            return;
        Assert.Skip(
            Environment.GetEnvironmentVariable("SYNC_TEST_NO_CLIENTS") is { Length: > 0 } reason
                ? reason
                : "no packages of Node: ./sync test installs them"
        );
    }

    /// <summary>Runs a script to its end, and answers what it printed, line by line.</summary>
    public static async Task<IReadOnlyList<string>> Run(string script, SandboxHost? sandbox = null)
    {
        var start = new ProcessStartInfo("node")
        {
            ArgumentList = { Path.Combine(Repository.Root, "Sync.Tests", "Clients", script) },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["NODE_PATH"] = Path.Combine(
            Environment.GetEnvironmentVariable("SYNC_TEST_CLIENTS")!,
            "node_modules"
        );
        if (sandbox is not null)
            start.Environment["SYNC_CLIENT"] = Settings(sandbox).ToJsonString();
        using var node = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);
        var (output, errors) = (
            node.StandardOutput.ReadToEndAsync(limit.Token),
            node.StandardError.ReadToEndAsync(limit.Token)
        );
        try
        {
            await node.WaitForExitAsync(limit.Token);
            Assert.True(node.ExitCode == 0, $"{script}: exit code {node.ExitCode}\n{await output}{await errors}");
            return (await output).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        finally
        {
            if (!node.HasExited)
                node.Kill(entireProcessTree: true);
        }
    }

    static JsonObject Settings(SandboxHost sandbox) =>
        new()
        {
            ["product"] = Address(sandbox.ProductAddress),
            ["stripe"] = Address(sandbox.StripeAddress),
            ["stripeApiKey"] = sandbox.Options.StripeApiKey,
            ["salesforce"] = Address(sandbox.SalesforceAddress),
            ["salesforceClientId"] = sandbox.Options.SalesforceClientId,
            ["salesforceClientSecret"] = sandbox.Options.SalesforceClientSecret,
            ["salesforceEvents"] = Address(sandbox.SalesforceEventsAddress),
        };

    static string Address(Uri address) => address.GetLeftPart(UriPartial.Authority);
}
