using MassTransit;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Orchestrator.Brakes;

namespace Sync.Orchestrator.Customers;

/// <summary>
/// What a decision needs beside its own row, read once for a whole batch and possibly a batch old. Nothing depends on its
/// being fresh: a customer checks its own slot, and the product decides who one person is.
/// </summary>
interface ISurroundings
{
    /// <summary>
    /// Live and proposed customers with the object's e-mail, in the order of their ids; at most <see cref="MaxCandidates"/>.
    /// </summary>
    Task<IReadOnlyList<string>> Candidates(ConsumeContext<ObjectFound> context);

    /// <summary>What speaks against spreading this deletion; null where nothing can.</summary>
    Task<Vanished?> Vanished(ConsumeContext<CustomerReported> context);

    /// <summary>Found objects that name the customer.</summary>
    Task<IReadOnlyList<ObjectName>> ObjectsOf(ConsumeContext<Erase> context);

    const int MaxCandidates = 10;
}

sealed record ObjectName(string System, string ExternalId);

/// <summary>Nobody else is there.</summary>
sealed class NoSurroundings : ISurroundings
{
    public Task<IReadOnlyList<string>> Candidates(ConsumeContext<ObjectFound> context) =>
        Task.FromResult<IReadOnlyList<string>>([]);

    public Task<Vanished?> Vanished(ConsumeContext<CustomerReported> context) => Task.FromResult<Vanished?>(null);

    public Task<IReadOnlyList<ObjectName>> ObjectsOf(ConsumeContext<Erase> context) =>
        Task.FromResult<IReadOnlyList<ObjectName>>([]);
}
