namespace Sync.Messaging.Hosting;

/// <summary>
/// Something only a person can put right keeps the process from starting: it ends with exit code 2. The text says what
/// was wrong, where, and what to do, and holds no secret.
/// </summary>
public sealed class StartRefusedException(params IReadOnlyList<string> faults) : Exception(string.Join("; ", faults))
{
    public IReadOnlyList<string> Faults => faults;
}
