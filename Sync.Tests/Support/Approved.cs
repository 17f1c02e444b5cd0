namespace Sync.Tests.Support;

/// <summary>
/// What the design shows is an approved file: it changes in review, not by accident. A text that differs is written beside
/// it as <c>*.received.*</c>; <c>SYNC_APPROVE=1</c> accepts it.
/// </summary>
static class Approved
{
    /// <summary>Lines shown of a difference; the received file has all of them.</summary>
    const int MaxShown = 40;

    public static void Matches(string file, string received) =>
        MatchesDocument(Path.Combine("Sync.Tests", "Approved", file), received);

    /// <summary>The same for a document that is made from the code: the file lies where its readers look.</summary>
    /// <param name="file">From the root of the checkout.</param>
    public static void MatchesDocument(string file, string received)
    {
        var path = Path.Combine(Repository.Root, file);
        var receivedPath = Path.ChangeExtension(path, ".received" + Path.GetExtension(path));
        received = received.ReplaceLineEndings("\n").TrimEnd('\n') + "\n";
        var approved = File.Exists(path) ? File.ReadAllText(path).ReplaceLineEndings("\n") : "";
        if (approved == received)
        {
            File.Delete(receivedPath);
            return;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        if (Environment.GetEnvironmentVariable("SYNC_APPROVE") == "1")
        {
            File.WriteAllText(path, received);
            File.Delete(receivedPath);
            return;
        }

        File.WriteAllText(receivedPath, received);
        Assert.Fail(
            $"{file} is not what was approved. Read the difference; if it is meant, run again with SYNC_APPROVE=1.\n"
                + string.Join('\n', Difference(approved.Split('\n'), received.Split('\n')).Take(MaxShown))
        );
    }

    /// <summary>Lines that stand in one text only, in order: enough to see what changed.</summary>
    static IEnumerable<string> Difference(string[] approved, string[] received)
    {
        var before = approved.ToHashSet();
        var after = received.ToHashSet();
        return approved
            .Where(line => !after.Contains(line))
            .Select(line => "- " + line)
            .Concat(received.Where(line => !before.Contains(line)).Select(line => "+ " + line))
            .DefaultIfEmpty("(the same lines in another order)");
    }
}
