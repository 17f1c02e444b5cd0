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
