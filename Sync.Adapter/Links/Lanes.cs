namespace Sync.Adapter.Links;

/// <summary>
/// A lane is a row of <c>link</c> and the unit of order: one worker at a time, one round after the other. It is named after
/// the customer, or after the object while its customer is unknown.
/// </summary>
static class Lanes
{
    const string CustomerPrefix = "customer:";
    const string ObjectPrefix = "object:";

    public static string Customer(string customerId) => CustomerPrefix + customerId;

    public static string Object(string externalId) => ObjectPrefix + externalId;

    /// <summary>The customer of a lane; null in the lane of an object.</summary>
    public static string? CustomerId(string lane) =>
        lane.StartsWith(CustomerPrefix, StringComparison.Ordinal) ? lane[CustomerPrefix.Length..] : null;
}
