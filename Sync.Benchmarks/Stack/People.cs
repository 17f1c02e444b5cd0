using System.Diagnostics;
using Npgsql;
using Sync.Contracts.Customers;
using Sync.Sandbox.Stack;

namespace Sync.Benchmarks.Stack;

/// <summary>Customers as benchmarks make them, and whether all of them are in step.</summary>
static class People
{
    public static CustomerFields Person(int number) =>
        new()
        {
            ["name"] = $"Person {number}",
            ["email"] = $"person{number}@example.org",
            ["phone"] = $"+4420{number:D8}",
            ["address.line1"] = $"{number} Long Road",
            ["address.city"] = "London",
            ["address.postalCode"] = "SW1Y 4JH",
            ["address.country"] = "GB",
            ["attributes.tier"] = "gold",
        };

    /// <summary>Until so many are live and no system is behind.</summary>
    public static async Task<bool> InStep(
        SyncStack stack,
        BenchDatabase database,
        int customers,
        Action<double> show,
        CancellationToken cancellationToken
    )
    {
        while (true)
        {
            await using var command = database.Source.CreateCommand(
                "select count(*) from sync.customer where current_state = 'Live' and behind = '{}' and attention is null"
            );
            var asked = Stopwatch.GetTimestamp();
            var inStep = (long)(await command.ExecuteScalarAsync(cancellationToken))!;
            var took = Stopwatch.GetElapsedTime(asked);
            show(inStep / (double)customers);
            if (inStep >= customers)
                return true;
            stack.ThrowIfAnyDied();
            // Counting a large table must not take from what is measured.
            await Task.Delay(TimeSpan.FromMilliseconds(200) + (took * 20), cancellationToken);
        }
    }
}
