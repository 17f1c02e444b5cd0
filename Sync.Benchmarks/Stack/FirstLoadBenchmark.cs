using System.Diagnostics;
using System.Text.Json;
using Sync.Benchmarks.Figures;
using Sync.Contracts;
using Sync.Sandbox;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Stack;
using Sync.Sandbox.Stripe;

namespace Sync.Benchmarks.Stack;

/// <summary>A catalog that was there before Sync, and a comparison of everything once it is in.</summary>
sealed class FirstLoadBenchmark(string postgres, string logFolder, Progress progress)
{
    static readonly TimeSpan ReconcileWithin = TimeSpan.FromMinutes(5);

    /// <summary>Longer the verb does not look on.</summary>
    static readonly TimeSpan ImportWithin = TimeSpan.FromHours(1);

    public async Task<Chapter> Run(bool quick, CancellationToken cancellationToken)
    {
        var customers = quick ? 1_000 : 100_000;
        await using var database = await BenchDatabase.Create(postgres);
        await using var stack = await SyncStack.Create(
            LatencyBenchmark.Options(database, logFolder),
            cancellationToken
        );
        ListAsVendorsDo(stack);
        await progress.Show(
            $"{Spread.Number(customers)} customers in Stripe",
            show => Task.Run(() => Fill(stack, customers, show))
        );

        var began = Stopwatch.GetTimestamp();
        await progress.Show(
            "import, until product, Stripe and Salesforce hold all of them",
            async show =>
            {
                await stack.Start(ready: null, cancellationToken);
                using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                var import = OperatorCommand.Run(
                    stack,
                    ended.Token,
                    "import",
                    "--from",
                    SystemNames.Stripe,
                    "--yes",
                    "--wait",
                    $"{ImportWithin.TotalSeconds}",
                    "--json"
                );
                var inStep = People.InStep(stack, database, customers, show, ended.Token);
                try
                {
                    // Whichever fails ends the other, which would wait for ever.
                    await await Task.WhenAny(import, inStep);
                    await Task.WhenAll(import, inStep);
                }
                finally
                {
                    await ended.CancelAsync();
                }

                return true;
            }
        );
        var loaded = Stopwatch.GetElapsedTime(began);
        progress.Line($"first load: {Spread.Number(loaded.TotalSeconds)} s");
        var (calls, held) = (stack.Sandbox.Calls.Of(StripeApi.Vendor).Total, Held(stack));

        var reconciled = await progress.Show(
            "reconcile",
            _ => OperatorCommand.Run(stack, cancellationToken, "reconcile", "--wait", "3600", "--json")
        );
        progress.Line($"reconcile: {Spread.Number(reconciled.Took.TotalSeconds)} s");
        using var found = JsonDocument.Parse(reconciled.Output);

        List<string> failures =
        [
            .. held.Where(h => h.Value != customers).Select(h => $"{h.Key} holds {h.Value} of {customers} customers"),
        ];
        if (reconciled.Took > ReconcileWithin)
            failures.Add($"The comparison took longer than {ReconcileWithin.TotalMinutes} minutes, which is the gate");
        return new(
            "first-load",
            "A catalog that was there before",
            $"{Spread.Number(customers)} customers stand in Stripe and nowhere else when Sync starts for the first time and is told to import them. Each is found, "
                + "becomes a customer of the product, gets the product's id in Stripe and an account in Salesforce. Then everything is "
                + "compared with the golden record by `./sync reconcile`. The vendors list 2,000 records a second, answer all else at once and allow enough calls. One of each "
                + "process, everything on one machine.",
            [
                new(
                    "First load and comparison",
                    ["", "seconds", "customers/s"],
                    [
                        Row(
                            "first start and `./sync import --from stripe`, until product, Stripe and Salesforce agree on all",
                            loaded
                        ),
                        Row("`./sync reconcile`, both vendors", reconciled.Took),
                    ]
                )
                {
                    Notes =
                    [
                        $"The first load took {Spread.Number(calls / (double)customers, "N2")} Stripe calls a customer. The gate for the comparison is {ReconcileWithin.TotalMinutes} minutes.",
                    ],
                },
            ],
            new
            {
                Customers = customers,
                LoadedSeconds = loaded.TotalSeconds,
                ReconciledSeconds = reconciled.Took.TotalSeconds,
                StripeCalls = calls,
                Reconcile = found.RootElement.Clone(),
            }
        )
        {
            Failures = failures,
        };

        IReadOnlyList<string> Row(string what, TimeSpan took) =>
            [what, Spread.Number(took.TotalSeconds), Spread.Number(customers / took.TotalSeconds)];
    }

    /// <summary>
    /// Stripe takes 20 calls a second for lists of 100, and a page of 2,000 is about a second's work for Salesforce. Without
    /// that a whole account would come at once, which no vendor does and which is more than the sandbox's Kafka keeps.
    /// </summary>
    static void ListAsVendorsDo(SyncStack stack)
    {
        var pages = new (string Vendor, string Operation, int Milliseconds)[]
        {
            (SystemNames.Stripe, "customers.list", 50),
            (SystemNames.Salesforce, "queryAll", 1_000),
        };
        foreach (var (vendor, operation, milliseconds) in pages)
            stack.Sandbox.Faults.Add(
                new()
                {
                    Vendor = vendor,
                    Kind = FaultKind.Slow,
                    Operation = operation,
                    DelayMs = milliseconds,
                }
            );
    }

    /// <summary>By hand, and before anybody listens: the webhook endpoint is switched off meanwhile.</summary>
    static bool Fill(SyncStack stack, int customers, Action<double> show)
    {
        var stripe = stack.Sandbox.Stripe;
        var endpoint = (string)stripe.Webhooks.List(StripeForm.Parse("").Root)["data"]![0]!["id"]!;
        stripe.Webhooks.Update(endpoint, StripeForm.Parse("disabled=true").Root);
        for (var i = 0; i < customers; i++)
        {
            // Stripe's events know whole seconds: what lies in that in which the feed begins is told of as a change.
            if (i == customers - 1)
                Thread.Sleep(1_500);
            stripe.Create(
                StripeForm
                    .Parse(
                        $"name=Person+{i}&email=person{i}%40example.org&phone=%2B4420{i:D8}&address[line1]={i}+Long+Road"
                            + "&address[city]=London&address[postal_code]=SW1Y+4JH&address[country]=GB&metadata[tier]=gold"
                    )
                    .Root
            );
            show(i / (double)customers);
        }

        stripe.Webhooks.Update(endpoint, StripeForm.Parse("disabled=false").Root);
        return true;
    }

    static Dictionary<string, int> Held(SyncStack stack) =>
        new(StringComparer.Ordinal)
        {
            [SystemNames.Product] = stack.Sandbox.Product.Count,
            [SystemNames.Stripe] = stack.Sandbox.Stripe.All().Count(c => c!["deleted"] is null),
            [SystemNames.Salesforce] = stack.Sandbox.Salesforce.All().Count(a => (bool?)a!["IsDeleted"] is not true),
        };
}
