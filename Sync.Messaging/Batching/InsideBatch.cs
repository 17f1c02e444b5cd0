namespace Sync.Messaging.Batching;

/// <summary>Whether this flow of control handles a message of a batch, wherever it has got to.</summary>
static class InsideBatch
{
    static readonly AsyncLocal<bool> Inside = new();

    public static bool IsTrue => Inside.Value;

    public static void Enter() => Inside.Value = true;
}
