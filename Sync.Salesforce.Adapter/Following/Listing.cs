using System.Runtime.CompilerServices;
using Sync.Adapter.Following;
using Sync.Salesforce.Adapter.Client;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>Every Account that is not deleted, in the order of ids, which never change: a page goes on behind the last one's.</summary>
sealed class Listing(Queries queries, SalesforceMapping mapping) : IListing
{
    public async IAsyncEnumerable<ListingPage> List(
        string? after,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        while (true)
        {
            var where = after is null ? "" : $" WHERE Id > {Soql.Literal(after)}";
            var records = await queries.Run(
                $"SELECT {string.Join(", ", mapping.Fields)} FROM {SalesforceMapping.Object}{where} "
                    + $"ORDER BY Id LIMIT {Queries.Page}",
                deletedToo: false,
                cancellationToken
            );
            if (records.Count > 0)
            {
                after = RecordIds.To18(records[^1].Id);
                yield return new([.. records.Select(queries.ToObject)], after);
            }

            if (records.Count < Queries.Page)
                yield break;
        }
    }
}
