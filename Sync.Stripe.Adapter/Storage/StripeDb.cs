using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Sync.Adapter.Links;
using Sync.Contracts;
using Sync.Messaging.Hosting;

namespace Sync.Stripe.Adapter.Storage;

/// <summary>This process's schema and its history.</summary>
sealed class StripeDb(DbContextOptions<StripeDb> options) : AdapterDb(options)
{
    public const string Schema = SystemNames.Stripe;
}

/// <summary>For the tools that write migrations; it opens no connection.</summary>
sealed class StripeDbDesign : IDesignTimeDbContextFactory<StripeDb>
{
    public StripeDb CreateDbContext(string[] args)
    {
        var options = new DbContextOptionsBuilder<StripeDb>();
        options.UseSyncPostgres("Host=design.invalid", StripeDb.Schema);
        return new(options.Options);
    }
}
