using Spectre.Console;

namespace Sync.Benchmarks;

/// <summary>What is being measured right now: a bar on a terminal, a line a measurement elsewhere.</summary>
sealed class Progress(IAnsiConsole console, bool live)
{
    public void Line(string text) => console.WriteLine(text);

    /// <param name="run">Told how to say which share is done, 0 to 1.</param>
    public async Task<T> Show<T>(string label, Func<Action<double>, Task<T>> run)
    {
        if (!live)
            return await run(static _ => { });
        T result = default!;
        await console
            .Progress()
            .AutoClear(true)
            .HideCompleted(true)
            .Columns(
                new TaskDescriptionColumn { Alignment = Justify.Left },
                new ProgressBarColumn(),
                new PercentageColumn(),
                new ElapsedTimeColumn()
            )
            .StartAsync(async context =>
            {
                var task = context.AddTask(Markup.Escape(label));
                result = await run(share => task.Value = 100 * Math.Clamp(share, 0, 1));
            });
        return result;
    }
}
