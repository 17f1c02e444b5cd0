using Sync.Adapter.Following;
using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter.Client;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>Queries about everybody: what they are refused for is the mapping's fault or ours, and no customer's.</summary>
sealed class Queries(SalesforceClient client, SalesforceMapping mapping, ILogger<Queries> log)
{
    /// <summary>Records of one page; Salesforce answers no more at once.</summary>
    public const int Page = 2_000;

    /// <exception cref="FeedException">It failed.</exception>
    public async Task<IReadOnlyList<SObject>> Run(string soql, bool deletedToo, CancellationToken cancellationToken)
    {
        VendorResult result;
        try
        {
            return (await client.QueryAsync(soql, deletedToo, cancellationToken)).Value;
        }
        catch (SalesforceException e)
        {
            result = SalesforceErrors.Classify(e, mapping, Aim.List, writes: false);
        }
        catch (SalesforceSignInException e)
        {
            result = SalesforceErrors.Classify(e);
        }
        catch (SalesforceBudgetException)
        {
            result = SalesforceErrors.OnlyReserveLeft();
        }
        catch (SalesforceBusyException e)
        {
            result = new VendorResult.Failed(FailureClass.SlowDown, "own_limit", e.Message, Definite: true);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            result = Transport.Failed(e, writes: false);
        }

        var failed = result as VendorResult.Failed ?? SalesforceErrors.QueryRefused(result);
        log.CallFailed(SalesforceCall.Query, failed.Class, failed.Code, failed.Definite, failed.RequestId);
        throw new FeedException(failed);
    }

    public VendorObject ToObject(SObject record) => mapping.ToObject(record, client.UserId);
}
