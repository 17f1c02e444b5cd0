using Sync.Messaging.Hosting;
using Sync.Orchestrator.Commands;

if (!CommandLine.Owns(args))
    return await SyncProcess.Run(CommandLine.ProcessBuilder(args), args);

return await CommandLine.Run(
    args,
    new Terminal(
        Console.In,
        Console.Out,
        Console.Error,
        OutIsTerminal: !Console.IsOutputRedirected,
        ErrorIsTerminal: !Console.IsErrorRedirected,
        InIsTerminal: !Console.IsInputRedirected
    ),
    CancellationToken.None
);
