using System.CommandLine;
using System.Net.Sockets;
using System.Text.Json;
using Confluent.Kafka;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Contracts;
using Sync.Mapping;
using Sync.Messaging.Hosting;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Commands;

/// <summary>
/// What a person asks at a shell: views are read, and whatever changes something is a request on <c>sync.requests.v1</c>
/// that the orchestrator answers in the timeline. <c>./sync</c> passes its arguments on to here.
/// </summary>
static class CommandLine
{
    static readonly Option<bool> Json = new("--json")
    {
        Description = "One JSON document instead of tables. Members are only ever added to it",
        Recursive = true,
    };

    static readonly Option<string> By = new("--by")
    {
        Description = "Who asks, as the timeline will say it; the user of this shell unless given",
        HelpName = "name",
        DefaultValueFactory = _ => Environment.UserName,
        Recursive = true,
    };

    static readonly Option<int> Wait = new("--wait")
    {
        Description = "Seconds to wait for the answer to a request; 0 does not wait",
        HelpName = "seconds",
        DefaultValueFactory = _ => 20,
        Recursive = true,
    };

    /// <summary>The verbs of the process itself are not the command line's.</summary>
    public static bool Owns(string[] args) => args is not ([] or ["migrate"] or ["topics"]);

    /// <summary>The orchestrator as a process.</summary>
    public static HostApplicationBuilder ProcessBuilder(string[] args)
    {
        var builder = SyncProcess.CreateBuilder(
            args,
            new ProcessIdentity("orchestrator", Schema: OrchestratorDb.Schema, Group: Groups.Orchestrator)
        );
        builder.Services.AddOrchestrator();
        return builder;
    }

    /// <summary>Runs one verb and answers its exit code; nothing is thrown.</summary>
    public static async Task<int> Run(string[] args, Terminal terminal, CancellationToken cancellationToken)
    {
        var parsed = Root(terminal)
            .Parse(
                args,
                new ParserConfiguration
                {
                    // A customer's id may begin with @.
                    ResponseFileTokenReplacer = null,
                }
            );
        if (parsed.Errors.Count > 0)
        {
            var output = new Output(terminal.Out, terminal.Error, args.Contains("--json"), terminal.OutIsTerminal);
            output.Failure(
                "usage",
                string.Join(' ', parsed.Errors.Select(e => e.Message)),
                $"{Path(parsed)} --help says what it takes."
            );
            return ExitCodes.Refused;
        }

        return await parsed.InvokeAsync(
            new()
            {
                Output = terminal.Out,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
            },
            cancellationToken
        );
    }

    /// <summary>All verbs, for the parser, for help and for the documents' test.</summary>
    public static RootCommand Root(Terminal terminal)
    {
        var verbs = new Verbs(terminal);
        var root = new RootCommand(
            "Looks into a running Sync and asks it for things. Every request goes through Kafka, is answered by the orchestrator, and is a row of the customer's timeline with who asked.\n\n"
                + ExitCodes.Help
        )
        {
            Json,
            By,
            Wait,
            StatusVerb.Create(verbs),
            CustomerVerbs.Create(verbs),
            ObjectVerbs.Create(verbs),
            AttentionVerbs.Create(verbs),
            DeadLetterVerbs.Create(verbs),
            KernelVerbs.Create(verbs),
            ProcessVerb("topics", "Creates the topics of Sync on a real Kafka cluster; what exists is left alone"),
            ProcessVerb("migrate", "Brings the orchestrator's tables and views up to date"),
        };
        foreach (var verb in CompareVerbs.Create(verbs))
            root.Add(verb);
        foreach (var view in ViewVerbs.Create(verbs))
            root.Add(view);
        root.HelpName = "./sync";
        return root;
    }

    /// <summary>A verb of the process itself, here for its help.</summary>
    static Command ProcessVerb(string name, string description)
    {
        var command = new Command(name, description);
        command.SetAction((_, _) => SyncProcess.Run(ProcessBuilder([name]), [name]));
        return command;
    }

    static string Path(ParseResult parsed)
    {
        var names = new Stack<string>();
        for (
            var result = parsed.CommandResult;
            result is not null;
            result = result.Parent as System.CommandLine.Parsing.CommandResult
        )
            names.Push(result.Command is RootCommand ? "./sync" : result.Command.Name);
        return string.Join(' ', names);
    }

    /// <summary>Gives a command its action: a session around it, and every failure in words.</summary>
    internal sealed class Verbs(Terminal terminal)
    {
        public Command Verb(
            string name,
            string description,
            Symbol[] symbols,
            Func<Session, ParseResult, CancellationToken, Task<int>> run
        )
        {
            var command = new Command(name, description);
            foreach (var symbol in symbols)
            {
                if (symbol is Argument argument)
                    command.Add(argument);
                else
                    command.Add((Option)symbol);
            }

            Act(command, run);
            return command;
        }

        public void Act(Command command, Func<Session, ParseResult, CancellationToken, Task<int>> run) =>
            command.SetAction((parsed, cancellationToken) => Guarded(parsed, run, cancellationToken));

        async Task<int> Guarded(
            ParseResult parsed,
            Func<Session, ParseResult, CancellationToken, Task<int>> run,
            CancellationToken cancellationToken
        )
        {
            var output = new Output(terminal.Out, terminal.Error, parsed.GetValue(Json), terminal.OutIsTerminal);
            try
            {
                var by = parsed.GetValue(By) ?? "";
                if (by.Length is 0 or > 128 || by.Any(char.IsControl))
                    throw CommandFailedException.Usage(
                        "--by: a name has 1 to 128 characters and no control characters."
                    );
                if (parsed.GetValue(Wait) is < 0 or > 3_600)
                    throw CommandFailedException.Usage("--wait: must be 0 to 3600 seconds.");
                await using var session = new Session(
                    terminal,
                    output,
                    by,
                    TimeSpan.FromSeconds(parsed.GetValue(Wait))
                );
                return await run(session, parsed, cancellationToken);
            }
            catch (CommandFailedException e)
            {
                output.Failure(e.Code, e.Message, e.WhatToDo);
                return e.ExitCode;
            }
            catch (Exception e) when (Settings(e) is { } faults)
            {
                output.Failure(
                    "settings",
                    string.Join('\n', faults),
                    "Settings come from the environment or .env; while ./sync up runs in this checkout, from it."
                );
                return ExitCodes.Refused;
            }
            catch (PostgresException e) when (e.SqlState is "3F000" or "42P01" or "42883")
            {
                output.Failure(
                    "database-without-schema",
                    $"The database lacks what this version reads (SQLSTATE {e.SqlState}).",
                    "Bring it up to date first: ./sync migrate, or start the orchestrator with DATABASE__MIGRATEATSTART=true."
                );
                return ExitCodes.Refused;
            }
            catch (Exception e) when (e is NpgsqlException or SocketException or TimeoutException)
            {
                output.Failure(
                    "database-unreachable",
                    e is PostgresException refused
                        ? $"The database refused (SQLSTATE {refused.SqlState})."
                        : "The database does not answer.",
                    "Check DATABASE__URL, and that PostgreSQL runs."
                );
                return ExitCodes.Failed;
            }
            catch (KafkaException e)
            {
                output.Failure(
                    "kafka-unreachable",
                    $"Kafka does not answer ({e.Error.Code}).",
                    "Check KAFKA__BOOTSTRAP."
                );
                return ExitCodes.Failed;
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                output.Failure("interrupted", "Interrupted.", null);
                return ExitCodes.Failed;
            }
            catch (Exception e) when (e is InvalidOperationException or JsonException)
            {
                // The text may hold a value; the type says enough for a report of the fault.
                output.Failure("unforeseen", $"Failed in a way that nobody foresaw ({e.GetType().Name}).", null);
                return ExitCodes.Failed;
            }
        }

        static IReadOnlyList<string>? Settings(Exception exception) =>
            exception switch
            {
                OptionsValidationException options => [.. options.Failures],
                StartRefusedException refused => refused.Faults,
                SyncConfigException mapping => mapping.Faults,
                _ => null,
            };
    }
}
