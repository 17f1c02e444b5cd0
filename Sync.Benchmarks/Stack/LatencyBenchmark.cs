using System.Diagnostics;
using System.Text.Json;
using Sync.Benchmarks.Figures;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Sandbox;
using Sync.Sandbox.Product;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stack;
using Sync.Sandbox.Stripe;

namespace Sync.Benchmarks.Stack;

/// <summary>How long an edit takes to the other systems, over the real processes and the sandbox's vendors.</summary>
sealed class LatencyBenchmark(string postgres, string logFolder, Progress progress)
{
    const double AimP50Ms = 40;
    const double AimP99Ms = 150;

    /// <summary>
    /// The first seconds of each phase warm up and are not counted. The first phase has more: until then the runtime compiles
    /// what it has not met yet, and compiles again what it meets often, which takes more processor time than the work itself.
    /// </summary>
    const int FirstWarmSeconds = 120;
    const int WarmSeconds = 10;

    /// <summary>Product events a second: a ladder, so that it shows where this machine is used up. The last is the aim's.</summary>
    static readonly int[] ProductRates = [25, 50, 100, 200];

    /// <summary>An edit that is not everywhere by then is late, and counted so.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public async Task<Chapter> Run(bool quick, CancellationToken cancellationToken)
    {
        // So many that nobody is edited twice within ten seconds: a later edit would take the place of an earlier one.
        var (customers, seconds) = quick ? (500, 5) : (3_000, 30);
        int[] productRates = quick ? [50] : ProductRates;
        var byHandRate = quick ? 10 : 20;
        await using var database = await BenchDatabase.Create(postgres);
        await using var stack = await SyncStack.Create(Options(database, logFolder), cancellationToken);
        var edits = new Edits(stack.Sandbox);
        var (starts, idle) = await Start(stack, cancellationToken);

        await progress.Show(
            "creating the customers",
            show => Create(stack, database, customers, show, cancellationToken)
        );
        var stripeIds = stack
            .Sandbox.Stripe.All()
            .ToDictionary(c => (string)c!["metadata"]!["customer_id"]!, c => (string)c!["id"]!);
        var salesforceIds = stack
            .Sandbox.Salesforce.All()
            .ToDictionary(a => (string)a!["Product_Customer_Id__c"]!, a => (string)a!["Id"]!);

        List<Phase> product = [];
        Dictionary<string, Resources> busy = [];
        foreach (var rate in productRates)
        {
            var before = Processes(stack);
            var began = Stopwatch.GetTimestamp();
            product.Add(
                await Phase(
                    SystemNames.Product,
                    rate,
                    product.Count > 0 || quick ? WarmSeconds : FirstWarmSeconds,
                    (id, name) => stack.Sandbox.Product.Change(id, Name(name), TraceParents.Of(null))
                )
            );
            busy = Busy(stack, before, Stopwatch.GetElapsedTime(began));
        }

        var stripe = await Phase(
            SystemNames.Stripe,
            byHandRate,
            WarmSeconds,
            (id, name) =>
                stack.Sandbox.Stripe.Update(stripeIds[id], StripeForm.Parse($"name={Uri.EscapeDataString(name)}").Root)
        );
        var salesforce = await Phase(
            SystemNames.Salesforce,
            byHandRate,
            WarmSeconds,
            (id, name) =>
                stack.Sandbox.Salesforce.Update(
                    salesforceIds[id],
                    JsonSerializer.SerializeToElement(new Dictionary<string, string> { ["Name"] = name }),
                    SalesforceOrg.Human
                )
        );
        return Chapter(product, stripe, salesforce, starts, idle, busy);

        async Task<Phase> Phase(string origin, int rate, int warm, Action<string, string> act)
        {
            var phase = await progress.Show(
                $"edits in {origin}, {rate} a second",
                show => Edit(stack, edits, origin, rate, warm, seconds, customers, act, show, cancellationToken)
            );
            progress.Line(
                $"edits in {origin}, {rate} a second: {phase.Made.Count} made, {phase.Late} not everywhere in time"
            );
            return phase;
        }
    }

    /// <summary>A stack whose vendors are no bottleneck.</summary>
    internal static StackOptions Options(BenchDatabase database, string logFolder) =>
        new()
        {
            DatabaseUrl = database.ConnectionString,
            LogFolder = logFolder,
            // Not the vendor's limits are measured here: 200 writes a second need 200 reads before them.
            Sandbox = new SandboxOptions
            {
                StripeCallsPerSecond = 5_000,
                StripeCallsPerEndpointSecond = 2_000,
                SalesforceDailyRequests = 100_000_000,
            },
            StripeSettings = new Dictionary<string, string>
            {
                ["STRIPE__WRITESPERSECOND"] = "1000",
                ["STRIPE__READSPERSECOND"] = "1000",
                ["STRIPE__CALLSPERSECOND"] = "4000",
            },
        };

    /// <summary>Each by itself, so that a start is not slowed by another's.</summary>
    static async Task<(Dictionary<string, double> Seconds, Dictionary<string, Resources> Idle)> Start(
        SyncStack stack,
        CancellationToken cancellationToken
    )
    {
        // The first start makes the tables and fills the caches of files; the second is what a restart takes.
        await stack.Start(ready: null, cancellationToken);
        var seconds = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var process in stack.Processes)
        {
            await process.Stop();
            var began = Stopwatch.GetTimestamp();
            process.Start();
            await process.WaitUntilReady(cancellationToken);
            seconds[process.Name] = Stopwatch.GetElapsedTime(began).TotalSeconds;
        }

        await Task.Delay(TimeSpan.FromSeconds(3), cancellationToken);
        return (seconds, Processes(stack));
    }

    static Task<bool> Create(
        SyncStack stack,
        BenchDatabase database,
        int customers,
        Action<double> show,
        CancellationToken cancellationToken
    )
    {
        for (var i = 0; i < customers; i++)
            stack.Sandbox.Product.Create(Id(i), People.Person(i), TraceParents.Of(null));
        return People.InStep(stack, database, customers, show, cancellationToken);
    }

    static async Task<Phase> Edit(
        SyncStack stack,
        Edits edits,
        string origin,
        int rate,
        int warm,
        int seconds,
        int customers,
        Action<string, string> act,
        Action<double> show,
        CancellationToken cancellationToken
    )
    {
        var all = rate * (warm + seconds);
        var made = new List<Edit>(all);
        await Task.Factory.StartNew(
            () =>
            {
                var began = Stopwatch.GetTimestamp();
                for (var i = 0; i < all && !cancellationToken.IsCancellationRequested; i++)
                {
                    var due = began + (long)(i / (double)rate * Stopwatch.Frequency);
                    while (Stopwatch.GetTimestamp() is var now && now < due)
                        Thread.Sleep(Math.Max(1, (int)Stopwatch.GetElapsedTime(now, due).TotalMilliseconds));
                    var id = Id(i % customers);
                    made.Add(edits.Make(origin, due, name => act(id, name)));
                    show(i / (double)all);
                }
            },
            cancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );
        var ended = Stopwatch.GetTimestamp();
        while (!made.TrueForAll(edit => edit.IsEverywhere) && Stopwatch.GetElapsedTime(ended) < Patience)
        {
            stack.ThrowIfAnyDied();
            await Task.Delay(100, cancellationToken);
        }

        return new(rate, made[(rate * warm)..]);
    }

    static Chapter Chapter(
        List<Phase> product,
        Phase stripe,
        Phase salesforce,
        Dictionary<string, double> starts,
        Dictionary<string, Resources> idle,
        Dictionary<string, Resources> busy
    )
    {
        IReadOnlyList<(string Name, Phase Phase, Func<Edit, double> Ms)> rows =
        [
            .. product.SelectMany(phase =>
                ((string, Phase, Func<Edit, double>)[])
                    [
                        ("product event → Stripe's write", phase, edit => edit.Ms(SystemNames.Stripe)),
                        ("product event → Salesforce's write", phase, edit => edit.Ms(SystemNames.Salesforce)),
                        ("product event → the last of both", phase, edit => edit.LastMs),
                    ]
            ),
            ("edit by hand in Stripe → the last of product and Salesforce", stripe, edit => edit.LastMs),
            ("edit by hand in Salesforce → the last of product and Stripe", salesforce, edit => edit.LastMs),
        ];
        var measured = rows.Select(row =>
            {
                var ms = row.Phase.Arrived.Select(row.Ms).ToList();
                return new
                {
                    row.Name,
                    row.Phase.PerSecond,
                    Edits = ms.Count,
                    row.Phase.Late,
                    P50Ms = Spread.Percentile(ms, 0.50),
                    P99Ms = Spread.Percentile(ms, 0.99),
                    MostMs = Spread.Percentile(ms, 1),
                };
            })
            .ToList();
        return new(
            "latency",
            "From an edit to the other systems",
            "The real processes, one of each, over the sandbox's product, vendors and Kafka, on one machine. The vendors answer at "
                + "once and allow enough calls, so this is Sync's own time, with the read before each write. Clocked where the "
                + "stranger executes the write. An edit that comes late counts from its due moment.",
            [
                new(
                    "Latency",
                    ["", "edits/s", "edits", "p50, ms", "p99, ms", "most, ms"],
                    [
                        .. measured.Select(m =>
                            (IReadOnlyList<string>)
                                [
                                    m.Name,
                                    $"{m.PerSecond}",
                                    Spread.Number(m.Edits),
                                    Spread.Number(m.P50Ms, "N1"),
                                    Spread.Number(m.P99Ms, "N1"),
                                    Spread.Number(m.MostMs, "N1"),
                                ]
                        ),
                    ]
                )
                {
                    Notes =
                    [
                        $"The aim for a product event to a vendor's request at 200 a second is {AimP50Ms} ms at p50 and {AimP99Ms} ms at p99.",
                    ],
                },
                new(
                    "Processes",
                    [
                        "",
                        "start to ready, s",
                        "memory when idle, MB",
                        $"memory at {product[^1].PerSecond} edits/s, MB",
                        "of one core then, %",
                    ],
                    [
                        .. starts.Keys.Select(name =>
                            (IReadOnlyList<string>)
                                [
                                    name,
                                    Spread.Number(starts[name], "N1"),
                                    Spread.Number(idle[name].MemoryMb),
                                    Spread.Number(busy[name].MemoryMb),
                                    Spread.Number(100 * busy[name].ProcessorSeconds),
                                ]
                        ),
                    ]
                )
                {
                    Notes =
                    [
                        "A start is a restart with existing tables, until the group is assigned and its partitions are claimed.",
                    ],
                },
            ],
            new
            {
                Latency = measured,
                Starts = starts,
                Idle = idle,
                Busy = busy,
            }
        )
        {
            Failures =
            [
                .. ((Phase[])[.. product, stripe, salesforce])
                    .Where(phase => phase.Late > 0)
                    .Select(phase =>
                        $"{phase.Late} of {phase.Made.Count} edits in {phase.Made[0].Origin} were not everywhere {Patience.TotalSeconds} s after the last"
                    ),
            ],
        };
    }

    static Dictionary<string, Resources> Processes(SyncStack stack) =>
        stack.Processes.ToDictionary(
            process => process.Name,
            process =>
            {
                using var running = Process.GetProcessById(process.Pid!.Value);
                return new Resources(running.WorkingSet64 / 1024.0 / 1024.0, running.TotalProcessorTime.TotalSeconds);
            },
            StringComparer.Ordinal
        );

    /// <summary>Processor seconds become those of one second.</summary>
    static Dictionary<string, Resources> Busy(SyncStack stack, Dictionary<string, Resources> before, TimeSpan time) =>
        Processes(stack)
            .ToDictionary(
                now => now.Key,
                now =>
                    now.Value with
                    {
                        ProcessorSeconds =
                            (now.Value.ProcessorSeconds - before[now.Key].ProcessorSeconds) / time.TotalSeconds,
                    },
                StringComparer.Ordinal
            );

    static string Id(int number) => $"bench-{number}";

    static CustomerFields Name(string name) => new() { ["name"] = name };
}

/// <param name="ProcessorSeconds">Used so far, or in each second.</param>
sealed record Resources(double MemoryMb, double ProcessorSeconds);

/// <summary>Edits of one origin at one rate, the warm-up left out.</summary>
sealed record Phase(int PerSecond, List<Edit> Made)
{
    public IEnumerable<Edit> Arrived => Made.Where(edit => edit.IsEverywhere);

    public int Late => Made.Count(edit => !edit.IsEverywhere);
}
