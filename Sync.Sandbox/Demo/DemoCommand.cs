using System.CommandLine;
using System.Diagnostics;
using Sync.Sandbox.Stack;

namespace Sync.Sandbox.Demo;

/// <summary><c>demo</c>: everything started, every flow shown and checked, everything stopped.</summary>
static class DemoCommand
{
    /// <summary>Calls a second that Stripe takes here: a live account's, so that a thousand customers are a matter of seconds.</summary>
    const int StripeCallsPerSecond = 100;

    public static Command Create()
    {
        var only = new Option<string[]>("--only")
        {
            Description = "Only flows whose name contains this text; may be said several times",
        };
        var command = new Command("demo", "Starts everything, walks through every flow and checks it") { only };
        command.SetAction((parsed, cancellationToken) => Run(parsed.GetValue(only) ?? [], cancellationToken));
        return command;
    }

    static async Task<int> Run(string[] only, CancellationToken cancellationToken)
    {
        var screen = new Screen();
        var flows = Flows
            .All.Where(flow =>
                only.Length == 0 || only.Any(text => flow.Name.Contains(text, StringComparison.OrdinalIgnoreCase))
            )
            .ToList();
        if (flows.Count == 0)
        {
            screen.Line($"no flow is called so; there are: {string.Join(", ", Flows.All.Select(flow => flow.Name))}");
            return 2;
        }

        try
        {
            return await Run(screen, flows, cancellationToken);
        }
        catch (StackException e)
        {
            screen.Line(e.Message);
            screen.Line($"demo: 0 of {flows.Count} flows converged, {flows.Count} failed");
            return 1;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            screen.Line("demo: stopped");
            return 130;
        }
    }

    static async Task<int> Run(Screen screen, List<Flow> flows, CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        var options = StackEnvironment.Options() with
        {
            Settings = new Dictionary<string, string>(),
            Sandbox = new SandboxOptions
            {
                StripeCallsPerSecond = StripeCallsPerSecond,
                StripeCallsPerEndpointSecond = StripeCallsPerSecond,
            },
            StripeSettings = new Dictionary<string, string>
            {
                // A little below what Stripe allows: being refused costs more than waiting.
                ["STRIPE__WRITESPERSECOND"] = "90",
                ["STRIPE__READSPERSECOND"] = "90",
                ["STRIPE__CALLSPERSECOND"] = "95",
                ["STRIPE__TIMEOUTSECONDS"] = "3",
                ["ADAPTER__CALLTIMEOUTSECONDS"] = "5",
            },
        };
        screen.Heading("Starting the product, Stripe, Salesforce and Kafka (stand-ins), and the processes of Sync");
        await using var stack = await SyncStack.Create(options, cancellationToken);
        screen.Line($"  sandbox ready, log {stack.SandboxLog}");
        await stack.Start(
            process => screen.Line($"  {process.Name} ready, process {process.Pid}, log {process.LogFile}"),
            cancellationToken
        );
        screen.Line($"  all ready after {Stopwatch.GetElapsedTime(began).TotalSeconds:N1} s");
        screen.Line();
        screen.Heading("Each flow is checked by reading the product, Stripe, Salesforce and the saga");

        var failed = 0;
        Outage? outage = null;
        foreach (var (number, flow) in flows.Index())
        {
            if (flow.During != outage)
            {
                // Also when flows of an outage were left out or failed: the next one meets nobody who is down.
                if (outage is not null)
                    await outage.Down.Recover(stack.Sandbox);
                outage = flow.During;
            }

            var converged = await screen.Show(
                flow.Name,
                number + 1,
                flows.Count,
                say => flow.Run(new FlowRun(stack, say, cancellationToken)),
                cancellationToken
            );
            if (!converged)
                failed++;
        }

        screen.Line();
        screen.Latencies(Flows.Latencies);
        screen.Line($"  {Stopwatch.GetElapsedTime(began).TotalSeconds:N0} s in all");
        screen.Line($"demo: {flows.Count - failed} of {flows.Count} flows converged, {failed} failed");
        return failed == 0 ? 0 : 1;
    }
}
