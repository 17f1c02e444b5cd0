using System.CommandLine;
using Sync.Sandbox;
using Sync.Sandbox.Demo;

var root = new RootCommand("The strangers that a newcomer lacks: a product, Stripe, Salesforce and Kafka")
{
    ServeCommand.Create(),
    DemoCommand.Create(),
    UpCommand.Create(),
};

using var telemetry = Telemetry.Start();

// A stack stops its processes in order, each of which gives a running batch its time.
return await root.Parse(args).InvokeAsync(new() { ProcessTerminationTimeout = TimeSpan.FromSeconds(40) });
