using Sync.Contracts;
using Sync.Contracts.Systems;
using Sync.Mapping;

namespace Sync.Orchestrator.Comparing;

/// <summary>
/// The most API calls that one request to a system takes while nothing fails and nobody edits meanwhile. How many records a
/// call carries, and whether the answer of a write shows the record, is a vendor's matter and not known here: so every record
/// has calls of its own, and every write is read back.
/// </summary>
static class MostCalls
{
    /// <param name="operation">As findings name it: <c>read</c>, <c>create</c>, <c>update</c>, <c>delete</c>.</param>
    public static int Of(string operation, SystemMap map)
    {
        // It is asked by a message, and each is one.
        if (map.Name == SystemNames.Product)
            return 1;
        // The look before it, where the mapping wants one, the write, and the look after it.
        var update = map.Guard == Guard.Read ? 3 : 2;
        return operation switch
        {
            _ when operation == NameOf(Operation.Update) => update,
            // Who is there already, by our id or by the e-mail, is looked at and linked: then an update brings our id. To write
            // and to read back is less.
            _ when operation == NameOf(Operation.Create) => 1 + update,
            _ when operation == NameOf(Operation.Delete) => map.OnDelete switch
            {
                DeletionRule.Keep => 0,
                // Subscriptions are looked for first.
                DeletionRule.DeleteUnlessSubscribed => 2,
                _ => 1,
            },
            _ => 1,
        };
    }

    /// <summary>As findings name it.</summary>
    public static string NameOf(Operation operation) => operation.ToString().ToLowerInvariant();
}
