namespace Sync.Adapter.Vendors;

/// <summary>
/// One row of a vendor's error table: what the vendor says, what the adapter makes of it, what a person can do. The table
/// is data, so that the same rows classify and are printed.
/// </summary>
/// <param name="Code">The vendor's code, or the HTTP status where it names none.</param>
/// <param name="When">What tells this row from another one with the same code.</param>
/// <param name="Meaning">In words without values.</param>
/// <param name="Remedy">What to do; null when nothing has to be done.</param>
public sealed record ErrorRow(string Code, string When, ErrorAction Action, string Meaning, string? Remedy = null)
{
    /// <summary>Whether the vendor says with it that a write had no effect.</summary>
    public bool Definite { get; init; } = true;

    /// <summary><see cref="VendorResult.Failed.KeySpent"/></summary>
    public bool KeySpent { get; init; }

    /// <summary>The failure that this row means; a row about the customer is none.</summary>
    public VendorResult.Failed AsFailure(bool writes, string? code = null)
    {
        var failure = Action switch
        {
            ErrorAction.SlowDown => FailureClass.SlowDown,
            ErrorAction.PauseAll => FailureClass.PauseAll,
            _ => FailureClass.Retry,
        };
        var reason = Remedy is null ? Meaning : $"{Meaning}; {Remedy}";
        return new(failure, code ?? Code, reason, Definite || !writes) { KeySpent = KeySpent && writes };
    }
}

public enum ErrorAction
{
    /// <summary>Again, with backoff, this lane.</summary>
    Retry,

    /// <summary>All lanes slow down.</summary>
    SlowDown,

    /// <summary>Nothing can work until somebody acts.</summary>
    PauseAll,

    /// <summary>The vendor will never take this value.</summary>
    Refused,

    /// <summary>There is no such record any more.</summary>
    Gone,

    /// <summary>The record no longer has the guard's version.</summary>
    Moved,

    /// <summary>A record carries our id already.</summary>
    Taken,

    /// <summary>The session ran out: sign in once, and repeat once.</summary>
    SignIn,
}
