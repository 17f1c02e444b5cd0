namespace Sync.Adapter.Budget;

/// <summary>
/// The vendor's own count of an account's calls, all apps together, where it tells one. A vendor that has it adds it to the
/// services; the frame keeps it in a row for dashboards.
/// </summary>
public interface IApiBudget
{
    /// <summary>As last told; null before the first answer.</summary>
    ApiStanding? Standing { get; }
}

/// <param name="Used">Calls of the whole account in the vendor's window.</param>
/// <param name="Allowed">What the account may make in it.</param>
/// <param name="Reserve">What is left to others; null where nothing is kept back.</param>
/// <param name="ToldAt">When the vendor told.</param>
public sealed record ApiStanding(long Used, long Allowed, long? Reserve, DateTimeOffset ToldAt);
