using Sync.Messaging.DeadLetters;

namespace Sync.Orchestrator.Customers;

/// <summary>What no database takes: U+0000. Refused by path before it fails a whole batch at its commit.</summary>
static class Unstorable
{
    public static void Refuse(IEnumerable<KeyValuePair<string, string?>>? values)
    {
        if (values is null)
            return;
        foreach (var (path, value) in values)
        {
            if (value is not null && value.Contains('\0', StringComparison.Ordinal))
                throw new RefusedMessageException(
                    "schema",
                    $"{path}: contains the character U+0000, which cannot be stored; send the value without it"
                );
        }
    }
}
