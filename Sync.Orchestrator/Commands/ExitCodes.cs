using Sync.Messaging.Hosting;

namespace Sync.Orchestrator.Commands;

/// <summary>How a verb ends. Pinned: scripts read them.</summary>
static class ExitCodes
{
    /// <summary>Done, or shown.</summary>
    public const int Done = SyncProcess.Succeeded;

    /// <summary>The database or Kafka does not answer, or something failed that nobody foresaw.</summary>
    public const int Failed = SyncProcess.FailedUnexpectedly;

    /// <summary>The command line or a setting is not as it must be; each fault is named.</summary>
    public const int Refused = SyncProcess.Refused;

    /// <summary>Nothing has this id.</summary>
    public const int NotFound = 3;

    /// <summary>Asked, and not answered within <c>--wait</c>. It stays asked.</summary>
    public const int Pending = 4;

    /// <summary>Asked, and it changed nothing, or could not.</summary>
    public const int Nothing = 5;

    public const string Help =
        "Exit codes: 0 done, 1 database or Kafka unreachable or an unforeseen failure, 2 command line or settings wrong, "
        + "3 nothing has this id, 4 asked but not answered within --wait, 5 asked and nothing changed.";
}

/// <summary>Why a verb ends early, in words for the person who typed it: what was wrong, and what to do.</summary>
sealed class CommandFailedException(int exitCode, string code, string message, string? whatToDo = null)
    : Exception(message)
{
    public int ExitCode => exitCode;

    /// <summary>A fixed word for programs.</summary>
    public string Code => code;

    public string? WhatToDo => whatToDo;

    public static CommandFailedException Usage(string message, string? whatToDo = null) =>
        new(ExitCodes.Refused, "usage", message, whatToDo);

    public static CommandFailedException NotFound(string message, string? whatToDo = null) =>
        new(ExitCodes.NotFound, "not-found", message, whatToDo);
}
