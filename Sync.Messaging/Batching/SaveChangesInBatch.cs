using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Sync.Messaging.Batching;

/// <summary>
/// A context that a message's scope holds is not in the batch's transaction: what it saves would stay when the batch is
/// rolled back, and be saved again when it is run again.
/// </summary>
sealed class SaveChangesInBatch : SaveChangesInterceptor
{
    public static readonly SaveChangesInBatch Refused = new();

    public override InterceptionResult<int> SavingChanges(DbContextEventData eventData, InterceptionResult<int> result)
    {
        Check();
        return result;
    }

    public override ValueTask<InterceptionResult<int>> SavingChangesAsync(
        DbContextEventData eventData,
        InterceptionResult<int> result,
        CancellationToken cancellationToken = default
    )
    {
        Check();
        return new(result);
    }

    static void Check()
    {
        if (InsideBatch.IsTrue)
            throw new InvalidOperationException(
                "SaveChanges would leave the transaction of the batch. Change the saga instance, use context.Produce(message), "
                    + "or context.Rows().Add(row) for rows that are only appended"
            );
    }
}
