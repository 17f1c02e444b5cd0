using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Sync.Sandbox.Stack;
using Sync.Tests.Support;

namespace Sync.Tests;

/// <summary>What the documents say is held to the code.</summary>
public sealed partial class DocumentsTests
{
    /// <summary>Read by a library, under a name that is everybody's.</summary>
    static readonly string[] Standard = ["OTEL_EXPORTER_OTLP_ENDPOINT"];

    static readonly string[] Programs =
    [
        "Sync.Messaging",
        "Sync.Adapter",
        "Sync.Orchestrator",
        "Sync.Stripe.Adapter",
        "Sync.Salesforce.Adapter",
        "Sync.Sandbox",
    ];

    [Fact]
    public void Every_setting_stands_in_the_example_once_and_none_that_does_not_exist()
    {
        var written = Example().Select(setting => setting.Name).ToList();
        var real = Settings()
            .Where(setting => !setting.IsMap)
            .Select(setting => setting.Name)
            .Concat(Standard)
            .ToHashSet(StringComparer.Ordinal);
        var maps = Settings().Where(setting => setting.IsMap).Select(setting => setting.Name + "__").ToList();
        bool IsOfMap(string name) => maps.Exists(map => name.StartsWith(map, StringComparison.Ordinal));

        Assert.Empty(real.Except(written).Select(name => $"{name} is missing"));
        Assert.Empty(maps.Where(map => !written.Exists(name => name.StartsWith(map, StringComparison.Ordinal))));
        Assert.Empty(
            written.Where(name => !real.Contains(name) && !IsOfMap(name)).Select(name => $"{name} does not exist")
        );
        Assert.Empty(
            written.GroupBy(name => name).Where(g => g.Count() > 1).Select(g => $"{g.Key} stands there twice")
        );
    }

    [Fact]
    public void Every_setting_has_its_sentence() =>
        Assert.Empty(
            Example()
                .Where(setting => !Sentence().IsMatch(setting.Comment))
                .Select(setting => $"{setting.Name}: the line above it must be one sentence")
        );

    [Fact]
    public void The_example_shows_the_values_that_hold_without_it() =>
        Assert.Empty(
            Example()
                .Join(Settings().Where(s => !s.IsMap), e => e.Name, s => s.Name, (e, s) => (e.Name, e.Value, s.Default))
                // The host's name differs from host to host, and a folder has no default.
                .Where(s => s.Name is not ("SYNC__REPLICA" or "SYNC__CONFIG"))
                .Where(s => !string.Equals(s.Value, s.Default, StringComparison.OrdinalIgnoreCase))
                .Select(s => $"{s.Name}: says \"{s.Value}\", is \"{s.Default}\"")
        );

    [Fact]
    public void The_stack_knows_every_section_of_the_settings() =>
        Assert.Empty(Settings().Select(setting => setting.Name).Where(name => !ManagedProcess.IsSetting(name)));

    [Fact]
    public void The_door_drops_every_section_of_the_settings_for_demo_and_test()
    {
        var pattern = Sections().Match(Repository.Read("sync")).Groups["sections"].Value.Split('|');

        Assert.Empty(Settings().Select(setting => setting.Name.Split("__")[0]).Distinct().Except(pattern));
    }

    [Fact]
    public void A_link_in_a_document_leads_somewhere()
    {
        var faults = Repository
            .Files()
            .Where(path => path.EndsWith(".md", StringComparison.Ordinal))
            .SelectMany(path =>
                Link()
                    .Matches(Repository.Read(path))
                    .Select(match => match.Groups["to"].Value)
                    .Where(to => !to.Contains("://", StringComparison.Ordinal))
                    .Where(to =>
                    {
                        var target = Path.Combine(Repository.Root, Path.GetDirectoryName(path)!, to);
                        return !File.Exists(target) && !Directory.Exists(target);
                    })
                    .Select(to => $"{path} leads to {to}")
            );

        Assert.Empty(faults);
    }

    [Fact]
    public void Every_trap_of_Stripe_s_has_tests_that_exist()
    {
        var named = TestName().Matches(Repository.Read("Sync.Tests/Adapters/Stripe/README.md")).ToList();

        Assert.NotEmpty(named);
        Assert.Empty(
            named
                .Where(m =>
                    !typeof(DocumentsTests)
                        .Assembly.GetTypes()
                        .Any(type =>
                            type.Name == m.Groups["class"].Value
                            && type.GetMethod(
                                m.Groups["test"].Value,
                                BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic
                            )
                                is not null
                        )
                )
                .Select(m => $"there is no test {m.Value}")
        );
    }

    [Fact]
    public void Decisions_are_numbered_once_and_have_their_four_parts()
    {
        var decisions = Repository
            .Files()
            .Where(path => path.StartsWith("docs/decisions/", StringComparison.Ordinal))
            .ToList();

        Assert.NotEmpty(decisions);
        Assert.Empty(
            decisions.GroupBy(path => Path.GetFileName(path)[..4]).Where(g => g.Count() > 1).Select(g => g.Key)
        );
        Assert.Empty(
            decisions.Where(path =>
                !Repository.Read(path).StartsWith($"# {Path.GetFileName(path)[..4]} ", StringComparison.Ordinal)
            )
        );
        Assert.Empty(
            decisions.SelectMany(path =>
                ((string[])["Context", "Options", "Decision", "Consequences"])
                    .Where(part => !Repository.Read(path).Contains(part, StringComparison.Ordinal))
                    .Select(part => $"{path} has no {part}")
            )
        );
    }

    static IEnumerable<(string Name, string Value, string Comment)> Example()
    {
        var lines = Repository.Read(".env.example").Split('\n');
        for (var i = 1; i < lines.Length; i++)
        {
            if (Setting().Match(lines[i]) is { Success: true } setting)
                yield return (setting.Groups["name"].Value, setting.Groups["value"].Value, lines[i - 1]);
        }
    }

    /// <summary>Every property that can be set of every class with a section.</summary>
    static IEnumerable<(string Name, string Default, bool IsMap)> Settings() =>
        Programs
            .SelectMany(program => Assembly.Load(program).GetTypes())
            .Select(type => (Type: type, Section: Section(type)))
            .Where(options => options.Section is not null)
            .SelectMany(options =>
                options
                    .Type.GetProperties()
                    .Where(property => property.SetMethod is not null)
                    .Select(property =>
                        (
                            $"{options.Section}__{property.Name}".ToUpperInvariant(),
                            Text(property.GetValue(Activator.CreateInstance(options.Type))),
                            typeof(IDictionary).IsAssignableFrom(property.PropertyType)
                        )
                    )
            )
            .Distinct();

    static string? Section(Type type) =>
        type.GetField("Section", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
            ?.GetRawConstantValue() as string;

    static string Text(object? value) => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";

    [GeneratedRegex(
        @"`(?<class>[A-Za-z]+(Tests|Suite))\.(?<test>[A-Za-z0-9_]+)`",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture
    )]
    private static partial Regex TestName();

    [GeneratedRegex("^#(?<name>[A-Z][A-Z0-9_]+)=(?<value>.*)$", RegexOptions.NonBacktracking)]
    private static partial Regex Setting();

    [GeneratedRegex(@"^# [A-Za-z].*\.$", RegexOptions.NonBacktracking)]
    private static partial Regex Sentence();

    [GeneratedRegex(@"\]\((?<to>[^)#\s]+)[^)]*\)", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Link();

    [GeneratedRegex(
        @"grep -E '\^\((?<sections>[A-Z|]+)\)__'",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture
    )]
    private static partial Regex Sections();
}
