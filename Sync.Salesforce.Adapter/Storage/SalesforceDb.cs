using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Sync.Adapter.Links;
using Sync.Contracts;
using Sync.Messaging.Hosting;

namespace Sync.Salesforce.Adapter.Storage;

/// <summary>This process's schema and its history.</summary>
sealed class SalesforceDb(DbContextOptions<SalesforceDb> options) : AdapterDb(options)
{
    public const string Schema = SystemNames.Salesforce;
}

/// <summary>For the tools that write migrations; it opens no connection.</summary>
sealed class SalesforceDbDesign : IDesignTimeDbContextFactory<SalesforceDb>
{
    public SalesforceDb CreateDbContext(string[] args)
    {
        var options = new DbContextOptionsBuilder<SalesforceDb>();
        options.UseSyncPostgres("Host=design.invalid", SalesforceDb.Schema);
        return new(options.Options);
    }
}
