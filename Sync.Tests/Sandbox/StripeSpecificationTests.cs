using System.Text.Json.Nodes;
using Sync.Tests.Support;

namespace Sync.Tests.Sandbox;

/// <summary>
/// This Stripe against Stripe's own OpenAPI document, of which <c>SYNC_STRIPE_OPENAPI</c> names a copy, or one lies in <c>shared/vendor-specs</c> beside the checkout; skipped without.
/// </summary>
public sealed class StripeSpecificationTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() => _sandbox = await TestSandbox.Start();

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    [Theory]
    [InlineData("/v1/customers")]
    [InlineData("/v1/customers/{customer}")]
    public async Task Every_documented_parameter_is_known_and_its_limit_kept(string path)
    {
        var id = await _sandbox.StripeCustomer();
        var schema = Specification()["paths"]![path]!["post"]!["requestBody"]!["content"]![
            "application/x-www-form-urlencoded"
        ]!["schema"]!;

        foreach (var (name, property) in schema["properties"]!.AsObject())
        {
            var target = path.Replace("{customer}", id, StringComparison.Ordinal);
            var unknown = await _sandbox.Post(target, $"{name}=");
            Assert.NotEqual("parameter_unknown", (string?)unknown.Json!["error"]?["code"]);

            if (unknown.Status == 200 && property!["maxLength"] is { } max)
            {
                var tooLong = await _sandbox.Post(target, $"{name}={new string('x', (int)max + 1)}");
                Assert.Equal(name, (string?)tooLong.Error["param"]);
            }
        }
    }

    [Fact]
    public async Task An_answer_has_the_documented_members_and_all_required_ones()
    {
        var schema = Specification()["components"]!["schemas"]!["customer"]!;
        var reply = await _sandbox.Post(
            "/v1/customers",
            "name=Ada&business_name=B&individual_name=I&address[line1]=L&metadata[k]=v"
        );
        var members = reply.Json!.AsObject().Select(m => m.Key).ToList();

        Assert.Empty(members.Except(schema["properties"]!.AsObject().Select(p => p.Key)));
        Assert.Empty(schema["required"]!.AsArray().Select(r => (string)r!).Except(members));
    }

    static readonly string Beside = Path.Combine(Repository.Root, "..", "shared", "vendor-specs", "stripe");

    static JsonNode Specification()
    {
        var file =
            Environment.GetEnvironmentVariable("SYNC_STRIPE_OPENAPI") is { Length: > 0 } named ? named
            : Directory.Exists(Beside)
                ? Directory.EnumerateFiles(Beside, "*.json").Order(StringComparer.Ordinal).LastOrDefault()
            : null;
        Assert.SkipWhen(
            !File.Exists(file),
            "no copy of Stripe's OpenAPI document: SYNC_STRIPE_OPENAPI names none, and none lies beside the checkout"
        );
        return JsonNode.Parse(File.ReadAllText(file!))!;
    }
}
