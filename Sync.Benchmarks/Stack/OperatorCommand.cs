using System.Diagnostics;
using Sync.Sandbox.Stack;

namespace Sync.Benchmarks.Stack;

/// <summary>A verb of the orchestrator's program, called as <c>./sync</c> calls it, with the settings of a running stack.</summary>
static class OperatorCommand
{
    /// <returns>What it printed, and how long it took from start to exit.</returns>
    /// <exception cref="StackException">It did not end with 0.</exception>
    public static async Task<(string Output, TimeSpan Took)> Run(
        SyncStack stack,
        CancellationToken cancellationToken,
        params string[] arguments
    )
    {
        var start = new ProcessStartInfo("dotnet", [StackOptions.Assembly("Sync.Orchestrator"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
        };
        foreach (var name in start.Environment.Keys.Where(ManagedProcess.IsSetting).ToList())
            start.Environment.Remove(name);
        foreach (var (name, value) in stack.OrchestratorSettings())
            start.Environment[name] = value;

        var began = Stopwatch.GetTimestamp();
        using var process =
            Process.Start(start) ?? throw new StackException($"{string.Join(' ', arguments)} cannot be started");
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var errors = process.StandardError.ReadToEndAsync(cancellationToken);
        try
        {
            await process.WaitForExitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }

        var took = Stopwatch.GetElapsedTime(began);
        return process.ExitCode == 0
            ? (await output, took)
            : throw new StackException(
                $"{string.Join(' ', arguments)} ended with {process.ExitCode}:\n{await output}{await errors}"
            );
    }
}
