using System.Text.Json.Serialization.Metadata;
using Sync.Contracts.Customers;
using Sync.Contracts.Json;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;

namespace Sync.Contracts;

/// <summary>
/// One message of the contract: its CloudEvents type, its JSON, where it travels and under which key, the number by which
/// a receiver drops a late copy, and what a receiver refuses in it.
/// </summary>
/// <param name="Type">The CloudEvents <c>type</c>, pinned: a moved namespace is no wire change.</param>
/// <param name="Topic">The topic that a message travels on.</param>
/// <param name="Key">The Kafka key, as text.</param>
/// <param name="Sequence">For tools, in <c>ce_sequence</c>; decides nothing.</param>
/// <param name="Problem">What is wrong with a decoded message, without its values; null when nothing is.</param>
public sealed record WireMessage(
    string Type,
    JsonTypeInfo Json,
    Func<object, string> Topic,
    Func<object, string> Key,
    Func<object, long?> Sequence,
    Func<object, string?> Problem
);

/// <summary>Every message of the contract, said once.</summary>
public static class Wire
{
    public static IReadOnlyList<WireMessage> All { get; } =
    [
        Customer("product.customer.created.v1", ContractsJson.Default.CustomerCreated),
        Customer("product.customer.updated.v1", ContractsJson.Default.CustomerUpdated),
        Message(
            "product.customer.deleted.v1",
            ContractsJson.Default.CustomerDeleted,
            _ => Topics.Customers,
            m => m.CustomerId,
            m => m.Revision,
            m => CustomerIds.Problem(m.CustomerId) ?? Positive(m.Revision)
        ),
        Message(
            "product.customer.exists.v1",
            ContractsJson.Default.CustomerExists,
            _ => Topics.Customers,
            m => m.CustomerId,
            problem: m => CustomerIds.Problem(m.CustomerId) ?? CustomerIds.Problem(m.Existing)
        ),
        Command("product.customer.create.v1", ContractsJson.Default.CreateCustomer),
        Command("product.customer.update.v1", ContractsJson.Default.UpdateCustomer),
        Command("product.customer.delete.v1", ContractsJson.Default.DeleteCustomer),
        Message(
            "sync.customer.push.v1",
            ContractsJson.Default.PushCustomer,
            m => Topics.Commands(m.System),
            m => m.CustomerId,
            m => m.Revision,
            m => CustomerIds.Problem(m.CustomerId)
        ),
        Message(
            "sync.object.read.v1",
            ContractsJson.Default.ReadObject,
            m => Topics.Commands(m.System),
            m => m.ExternalId
        ),
        Message(
            "sync.scan.request.v1",
            ContractsJson.Default.RequestScan,
            m => Topics.Commands(m.System),
            m => m.RequestId.ToString()
        ),
        Message(
            "sync.customer.reported.v1",
            ContractsJson.Default.CustomerReported,
            m => Topics.Reports(m.System),
            m => m.CustomerId,
            m => m.Obs,
            m => CustomerIds.Problem(m.CustomerId)
        ),
        Message(
            "sync.object.found.v1",
            ContractsJson.Default.ObjectFound,
            m => Topics.Reports(m.System),
            m => m.ExternalId
        ),
        Message(
            "sync.object.duplicate.v1",
            ContractsJson.Default.ObjectDuplicated,
            m => Topics.Reports(m.System),
            m => m.CustomerId,
            problem: m => CustomerIds.Problem(m.CustomerId)
        ),
        Message(
            "sync.objects.listed.v1",
            ContractsJson.Default.ObjectsListed,
            m => Topics.Reports(m.System),
            m => m.RequestId.ToString()
        ),
        Message("sync.feed.gap.v1", ContractsJson.Default.FeedGapReported, m => Topics.Reports(m.System), m => m.Feed),
        Request("sync.request.link-object.v1", ContractsJson.Default.LinkObject, m => m.CustomerId),
        Request("sync.request.object-linked.v1", ContractsJson.Default.ObjectLinked, m => m.ExternalId),
        Request("sync.request.object-parked.v1", ContractsJson.Default.ObjectParked, m => m.ExternalId),
        Request("sync.request.relink-object.v1", ContractsJson.Default.RelinkObject, m => m.ExternalId),
        Request("sync.request.due.v1", ContractsJson.Default.Due, m => m.CustomerId),
        Request("sync.request.object-due.v1", ContractsJson.Default.ObjectDue, m => m.ExternalId),
        Request("sync.request.retry.v1", ContractsJson.Default.Retry, m => m.CustomerId),
        Request("sync.request.take-side.v1", ContractsJson.Default.TakeSide, m => m.CustomerId),
        Request("sync.request.release.v1", ContractsJson.Default.Release, m => m.CustomerId),
        Request("sync.request.ignore.v1", ContractsJson.Default.Ignore, m => m.CustomerId),
        Request("sync.request.resync.v1", ContractsJson.Default.Resync, m => m.CustomerId),
        Request("sync.request.erase.v1", ContractsJson.Default.Erase, m => m.CustomerId),
        Request("sync.request.release-loop.v1", ContractsJson.Default.ReleaseLoop, m => m.CustomerId),
        Request("sync.request.allow-recreate.v1", ContractsJson.Default.AllowRecreate, m => m.CustomerId),
        Message(
            "sync.request.link-to.v1",
            ContractsJson.Default.LinkTo,
            _ => Topics.Requests,
            m => m.ExternalId,
            problem: m => CustomerIds.Problem(m.CustomerId)
        ),
        Request("sync.request.retry-object.v1", ContractsJson.Default.RetryObject, m => m.ExternalId),
        Request("sync.request.ignore-object.v1", ContractsJson.Default.IgnoreObject, m => m.ExternalId),
        Request("sync.request.forget-object.v1", ContractsJson.Default.ForgetObject, m => m.ExternalId),
        Request("sync.request.compare.v1", ContractsJson.Default.Compare, m => m.ComparisonId.ToString()),
        Request("sync.request.apply-findings.v1", ContractsJson.Default.ApplyFindings, m => m.ComparisonId.ToString()),
    ];

    static WireMessage Customer<T>(string type, JsonTypeInfo<T> json)
        where T : CustomerSnapshot =>
        Message(
            type,
            json,
            _ => Topics.Customers,
            m => m.CustomerId,
            m => m.Revision,
            m => CustomerIds.Problem(m.CustomerId) ?? Positive(m.Revision)
        );

    static WireMessage Command<T>(string type, JsonTypeInfo<T> json)
        where T : CustomerCommand =>
        Message(
            type,
            json,
            _ => Topics.CustomerCommands,
            m => m.CustomerId,
            m => m.Revision,
            m => CustomerIds.Problem(m.CustomerId)
        );

    static WireMessage Request<T>(string type, JsonTypeInfo<T> json, Func<T, string> key)
        where T : class => Message(type, json, _ => Topics.Requests, key);

    static WireMessage Message<T>(
        string type,
        JsonTypeInfo<T> json,
        Func<T, string> topic,
        Func<T, string> key,
        Func<T, long?>? sequence = null,
        Func<T, string?>? problem = null
    )
        where T : class =>
        new(type, json, m => topic((T)m), m => key((T)m), m => sequence?.Invoke((T)m), m => problem?.Invoke((T)m));

    static string? Positive(long revision) => revision > 0 ? null : "revision: must be 1 or more";
}
