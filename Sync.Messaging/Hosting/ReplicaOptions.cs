using System.ComponentModel.DataAnnotations;

namespace Sync.Messaging.Hosting;

/// <summary>What tells the replicas of a process apart.</summary>
public sealed class ReplicaOptions
{
    public const string Section = "Sync";

    /// <summary>
    /// The stable name of this replica: the same after a restart, unlike its siblings'. A restarted deliverer takes its own
    /// lease back by it at once. The host's name unless set, which is right for a StatefulSet's pods.
    /// </summary>
    [RegularExpression(
        "[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
        ErrorMessage = "must be 1 to 63 letters, digits, '.', '_', '-'"
    )]
    public string Replica { get; init; } = Environment.MachineName;
}
