namespace Sync.Salesforce.Adapter.Client;

/// <summary>One operation of Salesforce's API that the adapter uses.</summary>
enum SalesforceCall
{
    GetRecord,
    GetRecords,
    Query,
    CreateRecord,
    CreateRecords,
    UpdateRecord,
    UpdateRecords,
    DeleteRecord,
    DeleteRecords,
}

static class SalesforceCalls
{
    public static bool Writes(this SalesforceCall call) => call >= SalesforceCall.CreateRecord;

    public static Aim Aim(this SalesforceCall call) =>
        call switch
        {
            SalesforceCall.GetRecord or SalesforceCall.UpdateRecord or SalesforceCall.DeleteRecord => Adapter
                .Aim
                .Record,
            SalesforceCall.CreateRecord => Adapter.Aim.Create,
            _ => Adapter.Aim.List,
        };
}
