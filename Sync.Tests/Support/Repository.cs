namespace Sync.Tests.Support;

/// <summary>The checkout that the tests were built from: the nearest folder above them that holds the solution.</summary>
static class Repository
{
    static readonly string[] Generated = [".git", ".sync", ".vs", ".idea", "artifacts", "TestResults", "node_modules"];

    public static string Root { get; } = Find();

    /// <summary>Every file of the house, without what git ignores, as paths from the root.</summary>
    public static IEnumerable<string> Files() => Below(new DirectoryInfo(Root));

    public static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    static IEnumerable<string> Below(DirectoryInfo folder) =>
        folder
            .EnumerateFiles()
            .Select(file => Path.GetRelativePath(Root, file.FullName))
            .Where(path => path is not (".env" or ".git"))
            .Concat(
                folder
                    .EnumerateDirectories()
                    .Where(child => !Generated.Contains(child.Name) && child.Name is not ("bin" or "obj"))
                    .SelectMany(Below)
            );

    static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Sync.sln")))
                return folder.FullName;
        }

        throw new InvalidOperationException($"no Sync.sln above {AppContext.BaseDirectory}");
    }
}
