using System.ComponentModel.DataAnnotations;

namespace Sync.Adapter.Hosting;

/// <summary>How hard an adapter works. The defaults suit one process; several share the work by leases.</summary>
public sealed class AdapterOptions
{
    public const string Section = "Adapter";

    /// <summary>Calls to the vendor at the same time.</summary>
    [Range(1, 256, ErrorMessage = "must be 1 to 256")]
    public int Workers { get; init; } = 16;

    /// <summary>Lanes in hand at most: taken, and not yet given back.</summary>
    [Range(1, 5_000, ErrorMessage = "must be 1 to 5000")]
    public int Batch { get; init; } = 600;

    /// <summary>While much is going on, a call that could carry more waits this long for it. A lone change does not wait.</summary>
    [Range(0, 5_000, ErrorMessage = "must be 0 to 5000")]
    public int GatherMs { get; init; } = 150;

    /// <summary>A call without an answer by then has an unknown outcome. Well below the lease of 60 s.</summary>
    [Range(1, 45, ErrorMessage = "must be 1 to 45")]
    public int CallTimeoutSeconds { get; init; } = 20;

    /// <summary>Longest wait of one lane between two tries.</summary>
    [Range(1, 3_600, ErrorMessage = "must be 1 to 3600")]
    public int BackoffMaxSeconds { get; init; } = 60;

    /// <summary>While the vendor refuses our credentials, one try in this time.</summary>
    [Range(1, 3_600, ErrorMessage = "must be 1 to 3600")]
    public int PauseProbeSeconds { get; init; } = 30;

    /// <summary>At a stop, rounds in hand are given this long to end by themselves.</summary>
    [Range(1, 25, ErrorMessage = "must be 1 to 25")]
    public int StopSeconds { get; init; } = 10;

    /// <summary>From one scan of all objects of the vendor to the next; 0 for none but those after a gap.</summary>
    [Range(0, 720, ErrorMessage = "must be 0 to 720")]
    public int ScanHours { get; init; } = 24;

    /// <summary>
    /// Whether an account is listed once before anything is created in it. What is there already is then linked to the
    /// customer with its e-mail instead of being created again, and otherwise left alone until somebody imports it.
    /// </summary>
    public bool ListFirst { get; init; } = true;

    /// <summary>Hashes of answered commands are kept this long: a command delivered later than that would be taken for a new one.</summary>
    [Range(1, 400, ErrorMessage = "must be 1 to 400")]
    public int LedgerDays { get; init; } = 30;
}
