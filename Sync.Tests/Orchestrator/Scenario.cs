using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>
/// One customer, told as a story: the product says, a vendor answers or reports, an operator asks. Every report of a vendor
/// carries the next observation number unless the story says otherwise.
/// </summary>
sealed class Scenario : IAsyncDisposable
{
    public const string Id = "c-1";

    readonly OrchestratorHarness _harness;
    readonly Dictionary<string, long> _obs = [];
    int _read;

    Scenario(OrchestratorHarness harness) => _harness = harness;

    public OrchestratorHarness Harness => _harness;

    /// <summary>Revision of the product's last snapshot.</summary>
    public long Revision { get; set; }

    public CustomerSync? Found { get; private set; }
    public CustomerSync Customer => Found ?? throw new InvalidOperationException("the saga knows no such customer");
    public string State => Customer.CurrentState;

    public static async Task<Scenario> Start(Rules? rules = null) => new(await OrchestratorHarness.Start(rules));

    /// <summary>A customer that product and both vendors have, in step.</summary>
    public static async Task<Scenario> InStep(Rules? rules = null, params (string Path, string? Value)[] fields)
    {
        var scenario = await Start(rules);
        await scenario.Snapshot([("name", "Ann"), ("email", "ann@example.com"), ("phone", "Ab1"), .. fields]);
        await scenario.AnswerAll();
        scenario.Take();
        Assert.Empty(scenario.Customer.Behind);
        return scenario;
    }

    public Task<Exception?> Send(object message) => Keep(_harness.Send(message));

    /// <summary>The product emits a whole snapshot; paths not named are empty.</summary>
    public Task Snapshot(params (string Path, string? Value)[] fields) => Snapshot(applied: null, fields);

    public async Task Snapshot(AppliedCommand? applied, params (string Path, string? Value)[] fields) =>
        Assert.Null(await Send(ProductSays(++Revision, applied, fields)));

    public static CustomerUpdated ProductSays(
        long revision,
        AppliedCommand? applied,
        params (string Path, string? Value)[] fields
    )
    {
        var customer = new CustomerFields(
            Config.System(Product).Fields.Keys.Select(path => KeyValuePair.Create(path, (string?)null))
        );
        foreach (var (path, value) in fields)
            customer[path] = value;
        return new CustomerUpdated
        {
            CustomerId = Id,
            Revision = revision,
            Customer = customer,
            Applied = applied,
        };
    }

    public async Task Deleted(AppliedCommand? applied = null) =>
        Assert.Null(
            await Send(
                new CustomerDeleted
                {
                    CustomerId = Id,
                    Revision = ++Revision,
                    Applied = applied,
                }
            )
        );

    /// <summary>A vendor's report, given what the customer is believed to look like there, changed by <paramref name="edits"/>.</summary>
    public CustomerReported Report(string system, params (string Path, string? Value)[] edits)
    {
        var state = Customer.System(system);
        var fields = Config
            .System(system)
            .Fields.Keys.ToDictionary(path => path, path => state.Base.At(path), StringComparer.Ordinal);
        foreach (var (path, value) in edits)
            fields[path] = value;
        return new CustomerReported
        {
            System = system,
            CustomerId = Id,
            Generation = state.Gen,
            Obs = NextObs(system),
            ExternalId = state.Ext ?? $"{system}-{state.Gen + 1}",
            IdOnObject = true,
            Fields = fields,
        };
    }

    /// <summary>The vendor did what the command in flight asks for, and stores it in its own form.</summary>
    public CustomerReported Done(string system, params (string Path, string? Value)[] edits)
    {
        var sent = Sent(system)!;
        if (sent.Op == Operation.Delete)
            return Report(system) with { Ack = sent.Id, Outcome = Outcome.Done, Gone = true, Fields = null };

        if (sent.Op == Operation.Erase)
            return Report(system) with { Ack = sent.Id, Outcome = Outcome.Done, Fields = null, IdOnObject = false };

        var stored = sent.Write.ToDictionary(w => w.Key, w => Form(system, w.Key, w.Value), StringComparer.Ordinal);
        var report = Report(system, [.. stored.Select(s => (s.Key, s.Value)), .. edits]);
        return report with
        {
            Ack = sent.Id,
            Outcome = Outcome.Done,
            Written = sent.Write.ToWire(),
            Stored = stored,
            Own = sent.Write.Where(w => report.Fields![w.Key] == stored[w.Key]).ToDictionary(w => w.Key, w => w.Value),
        };
    }

    public async Task Answer(string system, params (string Path, string? Value)[] edits) =>
        Assert.Null(await Send(Done(system, edits)));

    /// <summary>The product applies the command in flight and says so.</summary>
    public async Task ProductApplies()
    {
        var sent = Sent(Product)!;
        var applied = new AppliedCommand(sent.Id, Outcome.Done, sent.Write.ToWire());
        if (sent.Op == Operation.Delete)
            await Deleted(applied);
        else
            await Snapshot(applied, [.. Customer.Golden.Select(g => (g.Key, g.Value))]);
    }

    /// <summary>Everybody does what is asked, until nothing is asked any more. Bounded: a loop would be a failure.</summary>
    public async Task AnswerAll()
    {
        for (var round = 0; round < 20; round++)
        {
            var asked = Config.Systems.Keys.Where(s => Sent(s) is not null).ToList();
            if (asked.Count == 0)
                return;
            foreach (var system in asked)
                await (system == Product ? ProductApplies() : Answer(system));
        }

        Assert.Fail("systems are asked again and again");
    }

    public async Task<Exception?> Edit(string system, params (string Path, string? Value)[] edits) =>
        await Send(Report(system, edits));

    public async Task Gone(string system) =>
        Assert.Null(await Send(Report(system) with { Gone = true, Fields = null, IdOnObject = false }));

    public Task Ring() => Keep(Run());

    /// <summary>Messages produced since the last look.</summary>
    public IReadOnlyList<object> Take()
    {
        var all = _harness.Caught.Messages;
        var news = all.Skip(_read).ToList();
        _read = all.Count;
        return news;
    }

    public IReadOnlyList<PushCustomer> TakePushes() => [.. Take().OfType<PushCustomer>()];

    public IEnumerable<string> Codes => _harness.Caught.Timeline.Select(t => t.Code);

    public string? Golden(string path) => Customer.Golden.At(path);

    public SentCommand? Sent(string system) => Customer.System(system).Sent;

    public long NextObs(string system) => _obs[system] = _obs.GetValueOrDefault(system) + 1;

    public static string? Form(string system, string path, string? value) =>
        Sync.Mapping.Normaliser.Stored(Config.System(system).Fields[path], value);

    public static T Asked<T>(T request)
        where T : OperatorRequest => request;

    public ValueTask DisposeAsync() => _harness.DisposeAsync();

    async Task<Exception?> Run()
    {
        await _harness.Ring();
        return null;
    }

    async Task<Exception?> Keep(Task<Exception?> sending)
    {
        var fault = await sending;
        Found = await _harness.Find(Id);
        return fault;
    }
}
