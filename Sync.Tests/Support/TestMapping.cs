using System.Text;
using Sync.Mapping;

namespace Sync.Tests.Support;

/// <summary>The mapping that the checkout ships, and small ones of a test's own.</summary>
public static class TestMapping
{
    public static SyncConfig Shipped { get; } = SyncConfig.Load(Path.Combine(Repository.Root, "config"));

    /// <param name="fields">JSON members of the system's <c>fields</c>.</param>
    public static SyncConfig Of(string system, string fields, string more = "") =>
        SyncConfig.Parse(
            Encoding.UTF8.GetBytes(
                $$"""
                [
                  { "name": "product", "fields": { "name": { "to": "name" } } },
                  { "name": "{{system}}", {{more}} "fields": { {{fields}} } }
                ]
                """
            ),
            "[]"u8
        );
}
