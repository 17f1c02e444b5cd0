using System.CommandLine;
using Sync.Benchmarks;
using Sync.Benchmarks.Kernel;

if (Contenders.Asked() is { } contender)
    return await Contenders.Run(contender);

return await BenchCommand
    .Create()
    .Parse(args)
    .InvokeAsync(new() { ProcessTerminationTimeout = TimeSpan.FromSeconds(40) });
