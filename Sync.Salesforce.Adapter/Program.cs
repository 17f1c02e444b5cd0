using Sync.Adapter.Hosting;
using Sync.Contracts;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Storage;

return await AdapterHost.Run<SalesforceDb>(args, SystemNames.Salesforce, services => services.AddSalesforce());
