using System.CommandLine;
using Sync.Sandbox;

var root = new RootCommand("The strangers that a newcomer lacks: a product, Stripe, Salesforce and Kafka")
{
    ServeCommand.Create(),
};
return await root.Parse(args).InvokeAsync();
