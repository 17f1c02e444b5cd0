using System.Collections;

namespace Sync.Sandbox.Stack;

/// <summary>What <c>./sync</c> tells a stack through its environment.</summary>
static class StackEnvironment
{
    /// <summary>The folder of this run; logs go below it.</summary>
    const string Run = "SYNC_RUN";

    const string Database = "DATABASE__URL";

    /// <exception cref="StackException">Something is missing.</exception>
    public static StackOptions Options()
    {
        var run =
            Environment.GetEnvironmentVariable(Run)
            ?? throw new StackException($"{Run} is not set; start the stack with ./sync demo or ./sync up");
        var database =
            Environment.GetEnvironmentVariable(Database)
            ?? throw new StackException($"{Database} is not set; ./sync starts a PostgreSQL of its own and sets it");
        return new StackOptions
        {
            DatabaseUrl = database,
            LogFolder = Path.Combine(run, "logs"),
            Settings = Settings(),
        };
    }

    /// <summary>
    /// Leaves the settings of the running stack beside its logs, as lines of NAME=value for its owner only, so that the other
    /// verbs of <c>./sync</c> talk to it; <c>./sync</c> removes them at the end.
    /// </summary>
    public static void Publish(SyncStack stack)
    {
        var path = Path.Combine(Environment.GetEnvironmentVariable(Run)!, "settings");
        var lines = stack.OrchestratorSettings().Select(setting => $"{setting.Key}={setting.Value}\n");
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        // Whole or not at all: a verb may look at this moment.
        using (var writer = new StreamWriter(path + ".new", options))
            writer.Write(string.Concat(lines));
        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>Every setting of Sync that a person gave, but for what the stack decides itself.</summary>
    static Dictionary<string, string> Settings() =>
        Environment
            .GetEnvironmentVariables()
            .Cast<DictionaryEntry>()
            .Select(entry => KeyValuePair.Create((string)entry.Key, (string?)entry.Value ?? ""))
            .Where(setting =>
                ManagedProcess.IsSetting(setting.Key) && setting.Key != Database && setting.Value.Length > 0
            )
            .ToDictionary(StringComparer.Ordinal);
}
