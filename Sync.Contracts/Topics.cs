namespace Sync.Contracts;

/// <summary>The Kafka topics. Every one is keyed by text as UTF-8 bytes and has the same number of partitions.</summary>
public static class Topics
{
    /// <summary>Partitions of every topic. Part of the contract: a key moves when it changes.</summary>
    public const int Partitions = 32;

    public const string Customers = "product.customers.v1";
    public const string CustomerCommands = "product.customer-commands.v1";
    public const string Requests = "sync.requests.v1";
    public const string DeadLetters = "sync.dead-letters.v1";

    public static string Commands(string system) =>
        system == SystemNames.Product ? CustomerCommands : $"sync.{system}.commands.v1";

    public static string Reports(string system) =>
        system == SystemNames.Product ? Customers : $"sync.{system}.reports.v1";
}

/// <summary>Consumer groups, one per process.</summary>
public static class Groups
{
    public const string Orchestrator = "sync-orchestrator";

    public static string Adapter(string system) => $"sync-{system}";
}

/// <summary>Names of the systems that come with the project. Others are configuration.</summary>
public static class SystemNames
{
    public const string Product = "product";
    public const string Stripe = "stripe";
    public const string Salesforce = "salesforce";
}
