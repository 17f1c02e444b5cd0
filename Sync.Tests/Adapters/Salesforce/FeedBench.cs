using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Sync.Adapter.Following;
using Sync.Adapter.Links;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Client;
using Sync.Salesforce.Adapter.Following;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Salesforce.Events;
using Sync.Tests.Sandbox;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

/// <summary>The feeds of the Salesforce adapter over a sandbox, without a frame: their pages, as they come.</summary>
sealed class FeedBench : IAsyncDisposable
{
    static readonly TimeSpan Within = TimeSpan.FromSeconds(120);

    readonly SalesforceClient _client;
    readonly ApiBudget _budget = new();
    readonly Func<Sweep> _sweep;

    FeedBench(TestSandbox sandbox, Action<SalesforceOptions>? set, TimeProvider? clock)
    {
        Sandbox = sandbox;
        Options = new()
        {
            LoginUrl = sandbox.Host.SalesforceAddress.ToString(),
            ClientId = sandbox.Host.Options.SalesforceClientId,
            ClientSecret = sandbox.Host.Options.SalesforceClientSecret,
            PubSubUrl = sandbox.Host.SalesforceEventsAddress.ToString(),
            PubSubCa = sandbox.Host.SalesforceEventsCa,
            TimeoutSeconds = 40,
        };
        set?.Invoke(Options);
        Clock = clock ?? TimeProvider.System;
        SalesforceMapping mapping = new(TestMapping.Shipped);
        _client = new(Options, _budget, TimeProvider.System, NullLogger<AccessTokens>.Instance);
        PubSub = new(Options, _client, Clock);
        Events = new(PubSub, mapping, Options, Clock, NullLogger<ChangeEvents>.Instance);
        Queries queries = new(_client, mapping, NullLogger<Queries>.Instance);
        _sweep = () => new(queries, mapping, Options, Clock, NullLogger<Sweep>.Instance);
        Sweep = _sweep();
        Listing = new(queries, mapping);
    }

    public TestSandbox Sandbox { get; }
    public SalesforceOptions Options { get; }
    public TimeProvider Clock { get; }
    public PubSubClient PubSub { get; }
    public ChangeEvents Events { get; }
    public Sweep Sweep { get; private set; }
    public Listing Listing { get; }

    public SalesforceOrg Org => Sandbox.Host.Salesforce;

    public PubSub Door => Sandbox.Host.SalesforceEvents;

    /// <param name="frozen">The sandbox's clock stands still until it is moved.</param>
    public static async Task<FeedBench> Start(
        Action<SalesforceOptions>? set = null,
        bool frozen = false,
        TimeProvider? clock = null,
        int keepaliveSeconds = 270
    ) =>
        new(
            await TestSandbox.Start(TestSandbox.Quiet with { SalesforceKeepaliveSeconds = keepaliveSeconds }, frozen),
            set,
            clock
        );

    /// <summary>As after a restart: the sweep remembers nothing that is not in its cursor.</summary>
    public void Forget() => Sweep = _sweep();

    public string Create(string json, Actor? actor = null)
    {
        using var body = JsonDocument.Parse(json);
        return Org.Create(body.RootElement, actor ?? SalesforceOrg.Human);
    }

    public void Edit(string id, string json, Actor? actor = null)
    {
        using var body = JsonDocument.Parse(json);
        Org.Update(id, body.RootElement, actor ?? SalesforceOrg.Human);
    }

    public void Merge(string winner, string loser, string json = "{}")
    {
        using var body = JsonDocument.Parse(json);
        Org.Merge(winner, loser, body.RootElement, SalesforceOrg.Human);
    }

    /// <summary>The cursor of now: of a feed that was followed for the first time.</summary>
    public async Task<string> Now()
    {
        await using var follow = Follow(null);
        var marker = Create("""{ "Name": "marker" }""");
        return (await follow.Until(p => p.Hints.Any(h => h.Hint.ExternalId == marker))).Cursor!;
    }

    /// <summary>Follows the events; the stream is open when this answers.</summary>
    public Followed Follow(string? cursor, IFeed? feed = null)
    {
        var before = Door.EverBegun;
        var followed = new Followed((feed ?? Events).Follow(cursor, CancellationToken.None));
        // The first page of a stream may only come with the first event, so the stream is begun and not waited for.
        followed.Begin();
        if (feed is null)
            SpinUntil(() => Door.EverBegun > before || followed.IsOver);
        return followed;
    }

    /// <summary>All pages of a feed that ends by itself.</summary>
    public static async Task<List<FeedPage>> All(IAsyncEnumerable<FeedPage> pages)
    {
        List<FeedPage> all = [];
        await foreach (var page in pages)
            all.Add(page);
        return all;
    }

    public static List<Hint> Hints(IEnumerable<FeedPage> pages) =>
        [.. pages.SelectMany(p => p.Hints).Select(h => h.Hint)];

    public async ValueTask DisposeAsync()
    {
        PubSub.Dispose();
        _client.Dispose();
        _budget.Dispose();
        await Sandbox.DisposeAsync();
    }

    static void SpinUntil(Func<bool> isTrue)
    {
        if (!SpinWait.SpinUntil(isTrue, Within))
            throw new TimeoutException("the stream was never open");
    }

    /// <summary>One follow, page by page.</summary>
    public sealed class Followed(IAsyncEnumerable<FeedPage> pages) : IAsyncDisposable
    {
        readonly CancellationTokenSource _stop = new(Within, TimeProvider.System);
        IAsyncEnumerator<FeedPage>? _pages;
        Task<bool>? _next;

        public bool IsOver => _next is { IsCompleted: true };

        public void Begin()
        {
            _pages = pages.GetAsyncEnumerator(_stop.Token);
            _next = Task.Run(async () => await _pages.MoveNextAsync());
        }

        /// <summary>The next page; null at the end.</summary>
        public async Task<FeedPage?> Next()
        {
            var there = await _next!;
            if (!there)
                return null;
            var page = _pages!.Current;
            _next = Task.Run(async () => await _pages.MoveNextAsync());
            return page;
        }

        public async Task<FeedPage> Until(Func<FeedPage, bool> isIt)
        {
            while (await Next() is { } page)
            {
                if (isIt(page))
                    return page;
            }

            throw new InvalidOperationException("the feed ended");
        }

        /// <summary>Hints until there are so many.</summary>
        public async Task<List<Hint>> Hints(int count)
        {
            List<Hint> hints = [];
            while (hints.Count < count)
                hints.AddRange((await Until(p => p.Hints.Count > 0)).Hints.Select(h => h.Hint));
            return hints;
        }

        /// <summary>What the follow ends with.</summary>
        public async Task<FeedException> Failure() =>
            await Assert.ThrowsAsync<FeedException>(async () => await Until(_ => false));

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            try
            {
                if (_next is not null)
                    await _next;
            }
            catch (Exception e) when (e is OperationCanceledException or FeedException)
            {
                // Whatever it would have ended with.
            }

            if (_pages is not null)
                await _pages.DisposeAsync();
            _stop.Dispose();
        }
    }
}
