using Sync.Contracts;
using Sync.Messaging.Hosting;
using Sync.Orchestrator;
using Sync.Orchestrator.Storage;

var builder = SyncProcess.CreateBuilder(
    args,
    new ProcessIdentity("orchestrator", Schema: OrchestratorDb.Schema, Group: Groups.Orchestrator)
);
builder.Services.AddOrchestrator();
return await SyncProcess.Run(builder, args);
