using Microsoft.EntityFrameworkCore;

namespace Sync.Adapter.Links;

/// <summary>
/// The context of an adapter process: it carries the migrations. Lanes, work and ledger are read and written in batches of
/// arrays by <see cref="LinkStore"/>, so the model has no entity for them and needs no snapshot.
/// </summary>
public abstract class AdapterDb(DbContextOptions options) : DbContext(options);
