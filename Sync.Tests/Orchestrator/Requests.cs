using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Retry = Sync.Contracts.Requests.Retry;

namespace Sync.Tests.Orchestrator;

/// <summary>What operators and objects ask of <see cref="Scenario.Id"/>.</summary>
static class Requests
{
    static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    public static Retry Retry(string? system) =>
        new()
        {
            CustomerId = Scenario.Id,
            RequestedBy = "kim",
            RequestedAt = At,
            System = system,
        };

    public static TakeSide TakeSide(string field, string side) =>
        new()
        {
            CustomerId = Scenario.Id,
            RequestedBy = "kim",
            RequestedAt = At,
            Field = field,
            Side = side,
        };

    public static Release Release(string system, bool spread) =>
        new()
        {
            CustomerId = Scenario.Id,
            RequestedBy = "kim",
            RequestedAt = At,
            System = system,
            Spread = spread,
        };

    public static Ignore Ignore() =>
        new()
        {
            CustomerId = Scenario.Id,
            RequestedBy = "kim",
            RequestedAt = At,
        };

    public static Resync Resync(string? system) =>
        new()
        {
            CustomerId = Scenario.Id,
            RequestedBy = "kim",
            RequestedAt = At,
            System = system,
        };

    public static Erase Erase() =>
        new()
        {
            CustomerId = Scenario.Id,
            RequestedBy = "kim",
            RequestedAt = At,
        };

    public static ReleaseLoop ReleaseLoop() =>
        new()
        {
            CustomerId = Scenario.Id,
            RequestedBy = "kim",
            RequestedAt = At,
        };

    public static AllowRecreate AllowRecreate() =>
        new()
        {
            CustomerId = Scenario.Id,
            RequestedBy = "kim",
            RequestedAt = At,
        };

    public static LinkTo LinkTo(string system, string externalId, string customerId) =>
        new()
        {
            System = system,
            ExternalId = externalId,
            RequestedBy = "kim",
            RequestedAt = At,
            CustomerId = customerId,
        };

    public static RetryObject RetryObject(string system, string externalId) =>
        new()
        {
            System = system,
            ExternalId = externalId,
            RequestedBy = "kim",
            RequestedAt = At,
        };

    public static IgnoreObject IgnoreObject(string system, string externalId) =>
        new()
        {
            System = system,
            ExternalId = externalId,
            RequestedBy = "kim",
            RequestedAt = At,
        };

    public static LinkObject Link(string system, string externalId, bool minted, Dictionary<string, string?> fields) =>
        new()
        {
            CustomerId = Scenario.Id,
            System = system,
            ExternalId = externalId,
            Fields = fields,
            Minted = minted,
        };

    public static ObjectDuplicated Duplicate(string system, string externalId, bool ours) =>
        new()
        {
            System = system,
            CustomerId = Scenario.Id,
            ExternalId = externalId,
            Ours = ours,
        };
}
