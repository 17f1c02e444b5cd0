using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Sync.Messaging.Hosting;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.FoundObjects;

namespace Sync.Orchestrator.Storage;

/// <summary>
/// The orchestrator's tables, for migrations and for the kernel, which writes sagas by this model. The kernel's own tables
/// and the dashboard's views come with the migration.
/// </summary>
sealed class OrchestratorDb(DbContextOptions<OrchestratorDb> options) : DbContext(options)
{
    public const string Schema = "sync";

    public DbSet<CustomerSync> Customers => Set<CustomerSync>();
    public DbSet<FoundObject> FoundObjects => Set<FoundObject>();
    public DbSet<TimelineEntry> Timeline => Set<TimelineEntry>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema(Schema);
        modelBuilder.Entity<CustomerSync>(Customer);
        modelBuilder.Entity<FoundObject>(Found);
        modelBuilder.Entity<TimelineEntry>(Entry);
    }

    static void Customer(EntityTypeBuilder<CustomerSync> customer)
    {
        customer.ToTable("customer");
        customer.HasKey(c => c.CorrelationId);
        customer.Property(c => c.CorrelationId).ValueGeneratedNever();
        customer.Property(c => c.Version).IsConcurrencyToken();
        customer.Property(c => c.Golden).IsJson(StateJson.Fields, StateJson.Fields);
        customer.Property(c => c.Held).IsJson(StateJson.Held, StateJson.Held);
        customer.Property(c => c.Systems).IsJson(StateJson.Systems, StateJson.Systems);

        customer.Property(c => c.Pace).IsJson<Pace?>(StateJson.Pace, StateJson.Pace);

        customer.HasIndex(c => c.CustomerId);
        // Few rows wait for a person, and they change seldom: the index costs the others nothing.
        customer.HasIndex(c => c.Attention).HasFilter("attention is not null");
        customer.HasIndex(c => c.EmailKey).HasFilter("email_key is not null");
    }

    static void Found(EntityTypeBuilder<FoundObject> found)
    {
        found.ToTable("found_object");
        found.HasKey(o => o.CorrelationId);
        found.Property(o => o.CorrelationId).ValueGeneratedNever();
        found.Property(o => o.Version).IsConcurrencyToken();
        found.Property(o => o.Fields).IsJson(StateJson.Fields, StateJson.Fields);
        found.HasIndex(o => o.CustomerId).HasFilter("customer_id is not null");
        found.Property(o => o.Candidates).HasDefaultValueSql("'{}'");
        found.Property(o => o.Rereading).HasDefaultValue(false);
        found.Property(o => o.Decided).HasDefaultValue(false);
        found.HasIndex(o => o.CurrentState).HasFilter("current_state <> 'Linked'");
    }

    static void Entry(EntityTypeBuilder<TimelineEntry> entry)
    {
        entry.ToTable("timeline");
        entry.HasKey(e => e.Id);
        entry.Property(e => e.Id).UseIdentityAlwaysColumn();
        entry
            .Property(e => e.Direction)
            .HasConversion(d => d == Direction.In ? "in" : "out", t => t == "in" ? Direction.In : Direction.Out);
        // Rows come in the order of time: a BRIN index is a few pages, however long the history.
        entry.HasIndex(e => e.At).HasMethod("brin");
        entry.HasIndex(e => new { e.CorrelationId, e.Id });
        // The deletion brake counts these, and there are few of them.
        entry.HasIndex(e => new { e.System, e.At }).HasFilter($"code = '{Codes.DeletionSeen}'");
    }
}

static class JsonColumns
{
    public static PropertyBuilder<T> IsJson<T>(
        this PropertyBuilder<T> property,
        Func<T, string> write,
        Func<string, T> read
    ) =>
        property
            .HasColumnType("jsonb")
            .HasConversion(StateJson.Converter(write, read), StateJson.Comparer(write, read));
}

/// <summary>For <c>dotnet ef</c>, which opens no connection.</summary>
sealed class OrchestratorDbFactory : IDesignTimeDbContextFactory<OrchestratorDb>
{
    public OrchestratorDb CreateDbContext(string[] args)
    {
        var options = new DbContextOptionsBuilder<OrchestratorDb>();
        options.UseSyncPostgres("Host=localhost", OrchestratorDb.Schema);
        return new(options.Options);
    }
}
