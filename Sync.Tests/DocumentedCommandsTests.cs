using System.CommandLine;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Sync.Benchmarks;
using Sync.Orchestrator.Commands;
using Sync.Stripe.Adapter.Webhooks;
using Sync.Tests.Deploy;
using Sync.Tests.Sandbox;
using Sync.Tests.Support;

namespace Sync.Tests;

/// <summary>
/// Every command that a document tells people to type. Those of Sync's own are parsed by the very definition that will parse
/// them, SQL runs against a database as Sync makes it, calls of the sandbox are made; what needs somebody's account, cluster
/// or network says so behind its fence, and <c>docs/start.md</c> explains those words.
/// </summary>
public sealed partial class DocumentedCommandsTests(RolesTests.Installed installed)
    : IClassFixture<RolesTests.Installed>
{
    static readonly Terminal Nowhere = new(TextReader.Null, TextWriter.Null, TextWriter.Null, false, false, false);

    /// <summary>What a fence may hold; without a word nobody knows whether it is a command.</summary>
    static readonly string[] Languages = ["sh", "sql", "env", "json", "text"];

    /// <summary>What a command may need that no test has.</summary>
    static readonly string[] Needs =
    [
        "needs-stripe-account",
        "needs-salesforce-org",
        "needs-cluster",
        "needs-database",
        "needs-network",
    ];

    /// <summary>Programs of others: only in fences, where what they need can be said.</summary>
    static readonly string[] Foreign =
    [
        "kubectl",
        "docker",
        "sf",
        "stripe",
        "psql",
        "npm",
        "openssl",
        "curl",
        "cd",
        "dotnet",
        "cp",
    ];

    sealed record Fence(string Place, string Language, string? Need, string[] Lines);

    /// <summary>Verbs of the script itself, with what each may be followed by.</summary>
    static readonly Dictionary<string, Func<string[], string?>> Script = new(StringComparer.Ordinal)
    {
        ["demo"] = Nothing,
        ["up"] = Nothing,
        ["help"] = Nothing,
        ["test"] = arguments =>
            arguments switch
            {
                [] or ["--thorough"] => null,
                ["-class", var name] => typeof(DocumentedCommandsTests).Assembly.GetType(name) is null
                    ? $"no test class is called {name}"
                    : null,
                _ => $"nobody knows what \"{string.Join(' ', arguments)}\" means to the tests",
            },
        ["simulate"] = arguments =>
            arguments
                .Where((argument, i) => i % 2 == 0 && argument is not ("--seeds" or "--seed" or "--profile"))
                .Select(argument => $"simulate does not know {argument}")
                .FirstOrDefault(),
        ["bench"] = arguments => Faults(BenchCommand.Create().Parse(arguments), arguments),
    };

    [Fact]
    public void A_fence_says_what_it_holds_and_a_marker_is_one_that_is_explained()
    {
        var start = Repository.Read("docs/start.md");

        Assert.Empty(
            Fences().Where(fence => !Languages.Contains(fence.Language)).Select(fence => $"{fence.Place}: no language")
        );
        Assert.Empty(
            Fences()
                .Where(fence => fence.Need is not null && !Needs.Contains(fence.Need))
                .Select(fence => $"{fence.Place}: {fence.Need}")
        );
        Assert.Empty(Needs.Where(need => !start.Contains($"| `{need}` |", StringComparison.Ordinal)));
        Assert.Empty(Needs.Where(need => !Fences().Any(fence => fence.Need == need)));
    }

    [Fact]
    public void Commands_of_others_stand_in_fences_that_say_what_they_need()
    {
        Assert.Empty(
            Spans()
                .Where(span => span.Text.Split(' ') is [var program, _, ..] && Foreign.Contains(program))
                .Select(span => $"{span.Place}: `{span.Text}` belongs into a fence")
        );
        Assert.Empty(
            Commands()
                .Where(command => command.Fence.Need is null && !IsTried(command.Text))
                .Select(command =>
                    $"{command.Fence.Place}: \"{command.Text}\" is run by no test and has no marker of what it needs"
                )
        );
        Assert.Empty(
            Commands()
                .Where(command => command.Fence.Need is not null)
                .Select(command => (command.Fence.Place, Program: command.Text.Split(' ')[0]))
                .Where(command => !Foreign.Contains(command.Program) && command.Program != "./sync")
                .Select(command => $"{command.Place}: {command.Program} is no program that this test knows")
        );
    }

    [Fact]
    public void Every_command_of_sync_parses()
    {
        var all = Commands()
            .Select(command => (command.Fence.Place, command.Text))
            .Concat(Spans())
            .Where(command => command.Text.StartsWith("./sync ", StringComparison.Ordinal))
            .SelectMany(command => Variants(command.Text).Select(text => (command.Place, Text: text)))
            .ToList();

        Assert.True(all.Count > 40, $"only {all.Count} commands were found: does the search still work?");
        Assert.Empty(
            all.Select(command => (command, Fault: SyncFault(command.Text)))
                .Where(c => c.Fault is not null)
                .Select(c => $"{c.command.Place}: {c.command.Text}: {c.Fault}")
        );
    }

    [Theory]
    [InlineData("./sync customer show")]
    [InlineData("./sync customer show ID --json")]
    [InlineData("./sync customer take ID PATH golden")]
    [InlineData("./sync bench kernel --rounds 3")]
    public void A_right_command_is_taken(string command) => Assert.Null(SyncFault(command));

    [Theory]
    [InlineData("./sync customer shwo ID")]
    [InlineData("./sync customer show ID --jsn")]
    [InlineData("./sync reconcile --repare")]
    [InlineData("./sync import --form stripe")]
    [InlineData("./sync bench kernel --round 3")]
    [InlineData("./sync simulate --seds 5")]
    [InlineData("./sync test -class Sync.Tests.NoSuchTests")]
    [InlineData("./sync upp")]
    public void A_misspelt_command_is_not(string command) => Assert.NotNull(SyncFault(command));

    /// <summary>With right words it goes on to ask for its services, which are not there.</summary>
    [Fact]
    public async Task Every_command_of_the_Stripe_adapter_is_one_that_it_knows()
    {
        var commands = Commands()
            .Where(command => command.Text.Contains("Sync.Stripe.Adapter.dll ", StringComparison.Ordinal))
            .ToList();

        Assert.NotEmpty(commands);
        await using var nothing = new ServiceCollection().BuildServiceProvider();
        foreach (var (fence, text) in commands)
        {
            using var errors = new StringWriter();
            var went = await Record.ExceptionAsync(() =>
                WebhookRegistration.Run([.. Words(text).Skip(2)], nothing, TextWriter.Null, errors)
            );
            Assert.True(went is InvalidOperationException, $"{fence.Place}: {text}: {errors}");
        }
    }

    [Fact]
    public void The_door_passes_on_every_verb_that_there_is()
    {
        var passed = Passed().Match(Repository.Read("sync")).Groups["verbs"].Value.Split(" | ");

        Assert.Equal(
            CommandLine.Root(Nowhere).Subcommands.Select(command => command.Name).Order(StringComparer.Ordinal),
            passed.Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public async Task Every_query_runs()
    {
        var queries = Fences()
            .Where(fence => fence.Language == "sql" && fence.Need is null)
            .SelectMany(fence =>
                string.Join('\n', fence.Lines)
                    .Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                    .Select(query => (fence.Place, Text: query))
            )
            .Concat(Spans().Where(span => span.Text.StartsWith("select ", StringComparison.Ordinal)))
            .ToList();

        Assert.True(queries.Count > 5, $"only {queries.Count} queries were found: does the search still work?");
        foreach (var (place, query) in queries)
        {
            var fault = await Record.ExceptionAsync(() => installed.Rows(query, TestRoles.Operator));
            Assert.True(fault is null, $"{place}: {query}: {fault?.Message}");
        }
    }

    [Fact]
    public async Task Every_call_of_the_sandbox_does_what_it_says()
    {
        await using var sandbox = await TestSandbox.Start();
        var calls = Commands().Where(command => IsSandboxCall(command.Text)).ToList();

        Assert.NotEmpty(calls);
        foreach (var (fence, text) in calls)
        {
            var words = Words(text).Skip(1).Where(word => word != "-s").ToList();
            var body = After(words, "-d");
            var method = After(words, "-X") ?? (body is null ? "GET" : "POST");
            var address = words.Single(word => word.StartsWith("$PRODUCT/", StringComparison.Ordinal));

            var reply = await TestSandbox.Send(
                sandbox.Product,
                new HttpMethod(method),
                address["$PRODUCT".Length..],
                body is null ? null : new StringContent(body, Encoding.UTF8, "application/x-www-form-urlencoded")
            );

            Assert.True(reply.Status is >= 200 and < 300, $"{fence.Place}: {text} is answered {reply.Status}");
        }
    }

    /// <summary>Whether some test of this class, or of another, tries this very command.</summary>
    static bool IsTried(string command) =>
        command.StartsWith("./sync ", StringComparison.Ordinal)
        || IsSandboxCall(command)
        // The settings' own tests read the example; copying it needs nobody.
        || command == "cp .env.example .env";

    static bool IsSandboxCall(string command) => command.Contains(" $PRODUCT/", StringComparison.Ordinal);

    static string? After(List<string> words, string option) =>
        words.IndexOf(option) is >= 0 and var at ? words[at + 1] : null;

    /// <summary>A sentence may name several at once, <c>show|list</c>, and put what may be left out into brackets.</summary>
    static IEnumerable<string> Variants(string command)
    {
        IEnumerable<string> variants = [""];
        foreach (
            var word in command
                .Replace("[", "", StringComparison.Ordinal)
                .Replace("]", "", StringComparison.Ordinal)
                .Split(' ')
        )
            variants = variants.SelectMany(before =>
                word.Split('|').Select(choice => $"{before} {choice}".TrimStart())
            );
        return variants;
    }

    /// <summary>What is wrong with a command of <c>./sync</c>; null if nothing is.</summary>
    static string? SyncFault(string command)
    {
        // IDs, systems and paths are written large where a person puts their own.
        var words = Words(command)
            .Skip(1)
            .Select(word =>
                word switch
                {
                    "SYSTEM" => "stripe",
                    "PATH" => "name",
                    _ => word,
                }
            )
            .ToArray();
        return words.Length == 0 ? "no verb"
            : Script.TryGetValue(words[0], out var check) ? check(words[1..])
            : Faults(CommandLine.Root(Nowhere).Parse(words), words);
    }

    /// <summary>A sentence may speak of a verb without what follows it; whatever does follow must be right.</summary>
    static string? Faults(ParseResult parsed, string[] words) =>
        parsed.Errors.Count == 0 || (words.Length > 0 && parsed.CommandResult.Command.Name == words[^1])
            ? null
            : string.Join(' ', parsed.Errors.Select(error => error.Message));

    static string? Nothing(string[] arguments) => arguments.Length == 0 ? null : "takes nothing";

    /// <summary>Lines of shell fences, without what is said behind them.</summary>
    static IEnumerable<(Fence Fence, string Text)> Commands() =>
        Fences()
            .Where(fence => fence.Language == "sh")
            .SelectMany(fence =>
                string.Join('\n', fence.Lines)
                    .Replace("\\\n", " ", StringComparison.Ordinal)
                    .Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                    .Select(line => Remark().Replace(line, "").Trim())
                    .Where(line => line.Length > 0)
                    .Select(line => (fence, line))
            );

    static IEnumerable<(string Place, string Text)> Spans() =>
        Documents()
            .SelectMany(path =>
            {
                var fenced = false;
                return Repository
                    .Read(path)
                    .Split('\n')
                    .Select((line, i) => (line, Place: $"{path}:{i + 1}"))
                    .Where(row =>
                    {
                        if (row.line.StartsWith("```", StringComparison.Ordinal))
                            fenced = !fenced;
                        return !fenced;
                    })
                    .SelectMany(row =>
                        Span()
                            .Matches(row.line)
                            .Select(m =>
                                (row.Place, m.Groups["text"].Value.Replace("\\|", "|", StringComparison.Ordinal))
                            )
                    )
                    // A verb with three dots behind it stands for all that follow.
                    .Where(span => !Quoted().Replace(span.Item2, "").Contains('…', StringComparison.Ordinal))
                    .ToList();
            });

    static IEnumerable<Fence> Fences() =>
        Documents()
            .SelectMany(path =>
            {
                var fences = new List<Fence>();
                List<string>? lines = null;
                var (place, info) = ("", Array.Empty<string>());
                foreach (var (line, i) in Repository.Read(path).Split('\n').Select((line, i) => (line, i)))
                {
                    if (!line.TrimStart().StartsWith("```", StringComparison.Ordinal))
                    {
                        lines?.Add(line);
                    }
                    else if (lines is null)
                    {
                        (place, lines) = ($"{path}:{i + 1}", []);
                        info = line.Trim()[3..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                    }
                    else
                    {
                        fences.Add(
                            new(
                                place,
                                info.FirstOrDefault(""),
                                info.Length > 1 ? string.Join(' ', info[1..]) : null,
                                [.. lines]
                            )
                        );
                        lines = null;
                    }
                }

                Assert.True(lines is null, $"{place} is never closed");
                return fences;
            });

    static IEnumerable<string> Documents() =>
        Repository.Files().Where(path => path.EndsWith(".md", StringComparison.Ordinal));

    /// <summary>As a shell takes a simple line apart.</summary>
    static List<string> Words(string command) =>
        [.. Word().Matches(command).Select(m => m.Groups["quoted"].Success ? m.Groups["quoted"].Value : m.Value)];

    [GeneratedRegex(
        "'(?<quoted>[^']*)'|\"(?<quoted>[^\"]*)\"|\\S+",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture
    )]
    private static partial Regex Word();

    [GeneratedRegex("'[^']*'", RegexOptions.NonBacktracking)]
    private static partial Regex Quoted();

    [GeneratedRegex("(^|  +)#.*$", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Remark();

    [GeneratedRegex("`(?<text>[^`]+)`", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Span();

    [GeneratedRegex(
        @"^  (?<verbs>status \| [a-z |-]+)\)$",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture | RegexOptions.Multiline
    )]
    private static partial Regex Passed();
}
