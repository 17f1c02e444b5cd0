namespace Sync.Orchestrator.Commands;

/// <summary>What cannot be undone is asked for twice: by <c>--yes</c>, or by typing a word at the terminal.</summary>
static class Confirmation
{
    /// <exception cref="CommandFailedException">Nobody said so.</exception>
    public static void Ask(Session session, bool yes, string what, string word)
    {
        if (yes)
            return;
        if (!session.Terminal.InIsTerminal || session.Output.Json)
            throw CommandFailedException.Usage($"{what} Nobody is there to confirm it.", "Add --yes to confirm.");
        session.Terminal.Error.WriteLine(what);
        session.Terminal.Error.Write($"Type {word} to go on: ");
        if (session.Terminal.In.ReadLine()?.Trim() != word)
            throw new CommandFailedException(
                ExitCodes.Nothing,
                "not-confirmed",
                "Not confirmed; nothing was asked for."
            );
    }
}
