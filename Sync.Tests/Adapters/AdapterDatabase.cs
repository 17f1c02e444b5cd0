using Sync.Tests.Adapters;
using Sync.Tests.Support;

[assembly: AssemblyFixture(typeof(AdapterDatabase))]

namespace Sync.Tests.Adapters;

/// <summary>One database for all tests of the frame, made when the first one asks; each test has a schema of its own.</summary>
public sealed class AdapterDatabase : IAsyncDisposable
{
    readonly Lazy<Task<TestPostgres>> _database = new(TestPostgres.Create);

    public Task<TestPostgres> Get() => _database.Value;

    public async ValueTask DisposeAsync()
    {
        if (_database.IsValueCreated)
            await (await _database.Value).DisposeAsync();
    }
}
