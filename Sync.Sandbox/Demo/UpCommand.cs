using System.CommandLine;
using Sync.Sandbox.Stack;

namespace Sync.Sandbox.Demo;

/// <summary><c>up</c>: everything started, addresses and commands to try, until it is told to stop.</summary>
static class UpCommand
{
    static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    public static Command Create()
    {
        var command = new Command("up", "Starts everything, prints the addresses and stays until Ctrl-C");
        command.SetAction((_, cancellationToken) => Run(cancellationToken));
        return command;
    }

    static async Task<int> Run(CancellationToken cancellationToken)
    {
        var screen = new Screen();
        try
        {
            await using var stack = await SyncStack.Create(StackEnvironment.Options(), cancellationToken);
            screen.Heading("Starting the processes of Sync");
            await stack.Start(
                process => screen.Line($"  {process.Name} ready, process {process.Pid}, log {process.LogFile}"),
                cancellationToken
            );
            StackEnvironment.Publish(stack);
            Describe(screen, stack);
            while (true)
            {
                await Task.Delay(Look, TimeProvider.System, cancellationToken);
                stack.ThrowIfAnyDied();
            }
        }
        catch (StackException e)
        {
            screen.Line(e.Message);
            return 1;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            screen.Line("up: stopped");
            return 0;
        }
    }

    static void Describe(Screen screen, SyncStack stack)
    {
        var product = SyncStack.Address(stack.Sandbox.ProductAddress);
        screen.Line();
        screen.Heading("Addresses");
        screen.Line($"  page         {product}/ (the three systems side by side, live)");
        screen.Line(
            stack.RealKafka ? "  product      the one on your Kafka" : $"  product      {product}/customers (stand-in)"
        );
        screen.Line(
            stack.RealStripe
                ? "  Stripe       the account of STRIPE__APIKEY"
                : $"  Stripe       {product}/sandbox/stripe/customers (stand-in; what it holds)"
        );
        screen.Line(
            stack.RealSalesforce
                ? "  Salesforce   the org of SALESFORCE__LOGINURL"
                : $"  Salesforce   {product}/sandbox/salesforce/accounts (stand-in; what it holds)"
        );
        screen.Line(
            $"  Kafka        {(stack.RealKafka ? stack.Options.Settings["KAFKA__BOOTSTRAP"] : stack.Sandbox.BootstrapServers + " (embedded)")}"
        );
        foreach (var process in stack.Processes)
            screen.Line(
                $"  {process.Name, -20} http://127.0.0.1:{process.Port}/health/ready and /metrics, log {process.LogFile}"
            );
        screen.Line($"  {"sandbox", -20} log {stack.SandboxLog}");
        if (!stack.RealKafka)
        {
            screen.Line();
            screen.Heading("Try");
            screen.Line(
                $$"""  curl -s {{product}}/customers -d '{"id":"c-1","name":"Ada Lovelace","email":"ada@example.org"}'"""
            );
            screen.Line($$"""  curl -s -X PATCH {{product}}/customers/c-1 -d '{"phone":"+442079460018"}'""");
            screen.Line($"  curl -s {product}/sandbox/stripe/customers; curl -s {product}/sandbox/salesforce/accounts");
        }

        screen.Line();
        screen.Heading("In another shell");
        screen.Line("  ./sync status; ./sync customer show c-1; ./sync customer timeline c-1; ./sync help");
        screen.Line();
        screen.Line("Ctrl-C stops everything that was started.");
    }
}
