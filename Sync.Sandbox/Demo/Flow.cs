using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stack;
using Sync.Sandbox.Stripe;

namespace Sync.Sandbox.Demo;

/// <summary>One thing that Sync promises, shown live.</summary>
/// <param name="Run">Does it, checks it, and says what was seen; throws <see cref="FlowFailedException"/> when it is not so.</param>
sealed record Flow(string Name, Func<FlowRun, Task<string>> Run)
{
    /// <summary>The place that is down meanwhile; flows in a row that name the same share one outage.</summary>
    public Outage? During { get; init; }
}

/// <summary>What was expected, what was seen, and where to read on.</summary>
sealed class FlowFailedException(string expected, string seen, params string[] logs)
    : Exception($"expected: {expected}\nseen: {seen}\nread: {string.Join(", ", logs)}");

/// <summary>What a flow works with: hands on the product, eyes on everything, and a clock.</summary>
sealed class FlowRun(SyncStack stack, Action<string> progress, CancellationToken cancellationToken)
{
    /// <summary>Longer than any flow may take; the sum of all is a matter of the whole demo.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public SyncStack Stack => stack;
    public SandboxHost Sandbox => stack.Sandbox;
    public Eyes Eyes { get; } = new(stack);
    public CancellationToken Cancelled => cancellationToken;

    /// <summary>What is going on right now, for whoever watches.</summary>
    public void Say(string what) => progress(what);

    public async Task Create(string id, string json)
    {
        var body = JsonNode.Parse(json)!.AsObject();
        body["id"] = id;
        await Send(HttpMethod.Post, "customers", body);
    }

    public Task Change(string id, string json) =>
        Send(HttpMethod.Patch, $"customers/{Uri.EscapeDataString(id)}", JsonNode.Parse(json)!.AsObject());

    public Task Change(string id, JsonObject body) =>
        Send(HttpMethod.Patch, $"customers/{Uri.EscapeDataString(id)}", body);

    public Task Delete(string id) => Send(HttpMethod.Delete, $"customers/{Uri.EscapeDataString(id)}", body: null);

    public async Task Send(HttpMethod method, string path, JsonObject? body)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
        if (body is not null)
            request.Content = JsonContent.Create(body);
        using var answer = await stack.Product.SendAsync(request, cancellationToken);
        if (!answer.IsSuccessStatusCode)
        {
            throw new FlowFailedException(
                $"the product takes {method} {path}",
                $"it answered {(int)answer.StatusCode}",
                stack.SandboxLog
            );
        }
    }

    /// <summary>Until these customers agree in all four places.</summary>
    /// <returns>From the call to the moment it was seen.</returns>
    public Task<TimeSpan> InStep(params IReadOnlyCollection<string> ids) =>
        Until(
            ids.Count == 1 ? "all four places agree" : $"all four places agree on {ids.Count} customers",
            () => Eyes.NotInStep(ids, cancellationToken)
        );

    public Task<TimeSpan> Gone(params IReadOnlyCollection<string> ids) =>
        Until(
            "gone from the product and both vendors, Removed in the saga",
            () => Eyes.NotGone(ids, cancellationToken)
        );

    /// <summary>Until nothing is wrong any more; looks every 5 ms at first, later less often.</summary>
    public async Task<TimeSpan> Until(string expected, Func<Task<IReadOnlyList<string>>> faults)
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            var left = await faults();
            var elapsed = Stopwatch.GetElapsedTime(began);
            if (left.Count == 0)
                return elapsed;

            Alive();
            if (elapsed > Patience)
            {
                var more = left.Count > 3 ? $"; and {left.Count - 3} more" : "";
                throw Failed(expected, $"after {Patience.TotalSeconds} s: {string.Join("; ", left.Take(3))}{more}");
            }

            if (elapsed.TotalSeconds > 1)
                Say($"{left.Count} to go: {left[0]}");
            await Task.Delay(
                TimeSpan.FromMilliseconds(Math.Clamp(elapsed.TotalMilliseconds / 10, 5, 100)),
                TimeProvider.System,
                cancellationToken
            );
        }
    }

    /// <summary>Until a condition of the strangers holds.</summary>
    public Task<TimeSpan> Until(string expected, Func<bool> holds, Func<string> seen) =>
        Until(expected, () => Task.FromResult<IReadOnlyList<string>>(holds() ? [] : [seen()]));

    public Task Wait(TimeSpan time) => Task.Delay(time, TimeProvider.System, cancellationToken);

    /// <summary>Calls from here on are counted anew.</summary>
    public void CountCalls() => Sandbox.Calls.Reset();

    /// <summary>Without those that ask, whatever happens, whether something did.</summary>
    public VendorCalls StripeCalls => Sandbox.Calls.Of(StripeApi.Vendor, "events.list", "customers.list");

    /// <summary>Without those that fetch a token.</summary>
    public VendorCalls SalesforceCalls => Sandbox.Calls.Of(SalesforceApi.Vendor, "token");

    public string Calls => $"{Text(StripeCalls, "Stripe")}, {Text(SalesforceCalls, "Salesforce")}";

    public void Expect(bool holds, string expected, string seen)
    {
        if (!holds)
            throw Failed(expected, seen);
    }

    public FlowFailedException Failed(string expected, string seen) =>
        new(expected, seen, [.. stack.Processes.Select(p => p.LogFile), stack.SandboxLog]);

    void Alive()
    {
        try
        {
            stack.ThrowIfAnyDied();
        }
        catch (StackException dead)
        {
            throw Failed("all processes run", dead.Message);
        }
    }

    static string Text(VendorCalls calls, string vendor) =>
        $"{calls.Total} {vendor} {(calls.Total == 1 ? "call" : "calls")}";
}
