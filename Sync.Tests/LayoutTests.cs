using System.Reflection;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.Extensions.Logging;
using Sync.Contracts;
using Sync.Tests.Support;

namespace Sync.Tests;

/// <summary>The house keeps its shape: who may know whom, where things lie, what no file may hold.</summary>
public sealed partial class LayoutTests
{
    static readonly Dictionary<string, string[]> AllowedReferences = new()
    {
        ["Sync.Contracts"] = [],
        ["Sync.Mapping"] = ["Sync.Contracts"],
        // The kernel knows nothing of customers, so not their contract either.
        ["Sync.Messaging"] = [],
        ["Sync.Adapter"] = ["Sync.Contracts", "Sync.Mapping", "Sync.Messaging"],
        ["Sync.Orchestrator"] = ["Sync.Contracts", "Sync.Mapping", "Sync.Messaging"],
        ["Sync.Stripe.Adapter"] = ["Sync.Adapter", "Sync.Contracts", "Sync.Mapping", "Sync.Messaging"],
        ["Sync.Salesforce.Adapter"] = ["Sync.Adapter", "Sync.Contracts", "Sync.Mapping", "Sync.Messaging"],
        // It plays strangers, who know the wire and nothing else.
        ["Sync.Sandbox"] = ["Sync.Contracts"],
    };

    static readonly string[] SeeAll = ["Sync.Tests", "Sync.Benchmarks"];

    static readonly string[] TopFolders =
    [
        .. AllowedReferences.Keys,
        .. SeeAll,
        ".ci",
        ".config",
        "config",
        "deploy",
        "docs",
    ];

    static readonly string[] TopFiles =
    [
        ".editorconfig",
        ".env.example",
        ".gitattributes",
        ".gitignore",
        "BannedSymbols.txt",
        "CHANGELOG.md",
        "Directory.Build.props",
        "Directory.Packages.props",
        "LICENSE",
        "README.md",
        "Sync.sln",
        "global.json",
        "sync",
    ];

    /// <summary>A log line's number says which part of the house it comes from.</summary>
    static readonly Dictionary<string, (int First, int Last)> EventIds = new()
    {
        ["Sync.Orchestrator"] = (1000, 1999),
        ["Sync.Stripe.Adapter"] = (2000, 2499),
        ["Sync.Salesforce.Adapter"] = (2500, 2999),
        ["Sync.Adapter"] = (3000, 3999),
        ["Sync.Messaging"] = (4100, 4199),
        ["Sync.Sandbox"] = (5000, 5999),
    };

    static IEnumerable<string> Projects =>
        Repository.Files().Where(path => path.EndsWith(".csproj", StringComparison.Ordinal));

    [Fact]
    public void A_project_knows_only_those_that_it_may()
    {
        var faults = Projects
            .Select(path => (Name: Path.GetFileNameWithoutExtension(path), Xml: XDocument.Parse(Repository.Read(path))))
            .Where(project => !SeeAll.Contains(project.Name))
            .SelectMany(project =>
                project
                    .Xml.Descendants("ProjectReference")
                    .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value))
                    .Except(AllowedReferences.GetValueOrDefault(project.Name) ?? [])
                    .Select(reference => $"{project.Name} must not know {reference}")
            );

        Assert.Empty(faults);
    }

    /// <summary>Whoever reads the contract needs nothing of ours, and nothing of anybody else's.</summary>
    [Fact]
    public void The_contract_depends_on_nothing_but_the_framework()
    {
        var project = XDocument.Parse(Repository.Read("Sync.Contracts/Sync.Contracts.csproj"));

        Assert.Empty(
            project.Descendants().Where(e => e.Name.LocalName.EndsWith("Reference", StringComparison.Ordinal))
        );
        Assert.All(
            typeof(Topics).Assembly.GetReferencedAssemblies(),
            reference => Assert.StartsWith("System.", reference.Name, StringComparison.Ordinal)
        );
    }

    [Fact]
    public void Every_project_is_in_the_solution_and_holds_its_packages_still()
    {
        var solution = Repository.Read("Sync.sln");
        var faults = Projects.SelectMany<string, string>(path =>
            [
                .. solution.Contains(path.Replace('/', '\\'), StringComparison.Ordinal)
                    ? Array.Empty<string>()
                    : [$"{path} is not in Sync.sln"],
                .. File.Exists(Path.Combine(Repository.Root, Path.GetDirectoryName(path)!, "packages.lock.json"))
                    ? Array.Empty<string>()
                    : [$"{path} has no packages.lock.json"],
            ]
        );

        Assert.Empty(faults);
    }

    [Fact]
    public void Versions_are_said_once()
    {
        var faults = Projects
            .SelectMany(path => XDocument.Parse(Repository.Read(path)).Descendants("PackageReference"))
            .Where(package =>
                package.Attribute("Version") is not null || package.Attribute("VersionOverride") is not null
            )
            .Select(package =>
                $"{package.Attribute("Include")!.Value}: its version belongs in Directory.Packages.props"
            );

        Assert.Empty(faults);
    }

    [Fact]
    public void Top_folders_and_files_are_those_of_the_agreed_layout()
    {
        var paths = Repository.Files().ToList();

        Assert.Empty(
            paths
                .Where(path => path.Contains('/'))
                .Select(path => path[..path.IndexOf('/')])
                .Distinct()
                .Except(TopFolders)
        );
        Assert.Empty(paths.Where(path => !path.Contains('/')).Except(TopFiles));
    }

    [Fact]
    public void A_namespace_is_its_folder()
    {
        var faults = Repository
            .Files()
            .Where(path => path.EndsWith(".cs", StringComparison.Ordinal))
            .Select(path => (Path: path, Namespace: Namespace().Match(Repository.Read(path)).Groups["name"].Value))
            .Where(file => file.Namespace.Length > 0)
            .Where(file => Path.GetDirectoryName(file.Path)!.Replace('/', '.') != file.Namespace)
            .Select(file => $"{file.Path} says {file.Namespace}");

        Assert.Empty(faults);
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public void Scripts_can_be_run()
    {
        foreach (var script in (string[])["sync", ".ci/run"])
            Assert.True(
                File.GetUnixFileMode(Path.Combine(Repository.Root, script)).HasFlag(UnixFileMode.UserExecute),
                $"{script} has lost its run bit"
            );
    }

    [Fact]
    public void No_file_knows_the_machine_it_was_written_on()
    {
        // Composed, so that this file does not name them.
        string[] marks = ["/" + "work/", "/" + "root/", "/" + "home/", "C:" + @"\Users", "/" + "Users/"];
        var faults = Repository
            .Files()
            .Where(path => !path.EndsWith("packages.lock.json", StringComparison.Ordinal))
            .SelectMany(path =>
                marks
                    .Where(mark => Repository.Read(path).Contains(mark, StringComparison.Ordinal))
                    .Select(mark => $"{path} contains {mark}")
            );

        Assert.Empty(faults);
    }

    [Fact]
    public void No_file_holds_a_vendor_s_real_key()
    {
        // Stripe's keys have at least 24 characters after the prefix; those of the sandbox are shorter or say so.
        var faults = Repository
            .Files()
            .Where(path => VendorKey().IsMatch(Repository.Read(path)))
            .Select(path => $"{path} looks as if it held a key");

        Assert.Empty(faults);
    }

    [Fact]
    public void An_event_id_is_used_once_and_lies_in_its_project_s_range()
    {
        List<string> faults = [];
        foreach (var (project, (first, last)) in EventIds)
        {
            var ids = Assembly
                .Load(project)
                .GetTypes()
                .SelectMany(type =>
                    type.GetMethods(
                        BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic
                    )
                )
                .Select(method => method.GetCustomAttribute<LoggerMessageAttribute>()?.EventId)
                .OfType<int>()
                .ToList();
            faults.AddRange(
                ids.Where(id => id < first || id > last).Select(id => $"{project}: {id} is not {first} to {last}")
            );
            // The kernel's numbers name conditions, some of which are worded in more than one way.
            if (project == "Sync.Messaging")
                continue;
            faults.AddRange(
                ids.GroupBy(id => id).Where(g => g.Count() > 1).Select(g => $"{project}: {g.Key} is used twice")
            );
        }

        Assert.Empty(faults);
    }

    [Fact]
    public void The_orchestrator_names_no_vendor()
    {
        var faults = Repository
            .Files()
            .Where(path =>
                path.StartsWith("Sync.Orchestrator/", StringComparison.Ordinal)
                && path.EndsWith(".cs", StringComparison.Ordinal)
            )
            .Where(path =>
                Repository.Read(path) is var code
                && (
                    code.Contains(SystemNames.Stripe, StringComparison.OrdinalIgnoreCase)
                    || code.Contains(SystemNames.Salesforce, StringComparison.OrdinalIgnoreCase)
                )
            );

        Assert.Empty(faults);
    }

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline | RegexOptions.NonBacktracking)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"\b(?:sk|rk)_live_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9+/]{32,}", RegexOptions.NonBacktracking)]
    private static partial Regex VendorKey();
}
