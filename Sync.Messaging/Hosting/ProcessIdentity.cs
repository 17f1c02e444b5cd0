namespace Sync.Messaging.Hosting;

/// <summary>Who a process is: said in code, the same for all its replicas.</summary>
/// <param name="Name">Short name, such as <c>orchestrator</c>; its messages carry <c>sync/&lt;name&gt;</c> as source.</param>
/// <param name="Schema">The PostgreSQL schema of its tables.</param>
/// <param name="Group">The Kafka consumer group of its replicas.</param>
public sealed record ProcessIdentity(string Name, string Schema, string Group)
{
    /// <summary>The CloudEvents <c>source</c> of what this process sends.</summary>
    public string Source => $"sync/{Name}";
}
