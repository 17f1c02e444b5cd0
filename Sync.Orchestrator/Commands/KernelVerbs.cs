using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Sync.Messaging.Offsets;

namespace Sync.Orchestrator.Commands;

/// <summary><c>kernel …</c>: what only an operator may do to the delivery of messages.</summary>
static class KernelVerbs
{
    static readonly TimeSpan KafkaWait = TimeSpan.FromSeconds(10);

    public static Command Create(CommandLine.Verbs verbs)
    {
        var topic = new Argument<string>("topic") { Description = "The topic" };
        var partition = new Argument<int>("partition") { Description = "The partition" };
        var from = new Option<string>("--from")
        {
            Description = "Where to go on: earliest, latest, or an offset",
            HelpName = "earliest|latest|offset",
            Required = true,
        };
        var group = new Option<string?>("--group")
        {
            Description = "The consumer group, where several read this partition",
            HelpName = "group",
        };
        var yes = new Option<bool>("--yes") { Description = "Do not ask whether to go on" };
        return new("kernel", "The delivery of messages itself")
        {
            verbs.Verb(
                "resume",
                "Lets a halted partition go on, or one whose topic was recreated. What is left out is written down as a gap",
                [topic, partition, from, group, yes],
                (session, parsed, token) =>
                    Resume(
                        session,
                        parsed.GetRequiredValue(topic),
                        parsed.GetRequiredValue(partition),
                        parsed.GetRequiredValue(from),
                        parsed.GetValue(group),
                        parsed.GetValue(yes),
                        token
                    )
            ),
        };
    }

    static async Task<int> Resume(
        Session session,
        string topic,
        int partition,
        string from,
        string? group,
        bool yes,
        CancellationToken cancellationToken
    )
    {
        var asked = 0L;
        if (
            from is not ("earliest" or "latest")
            && !(long.TryParse(from, NumberStyles.None, CultureInfo.InvariantCulture, out asked))
        )
            throw CommandFailedException.Usage("--from: must be earliest, latest or an offset.");

        var resume = session.Services.GetRequiredService<PartitionResume>();
        IReadOnlyList<PartitionStanding> standings;
        using (var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
        {
            limit.CancelAfter(KafkaWait);
            try
            {
                standings = await resume.Find(topic, partition, limit.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new CommandFailedException(
                    ExitCodes.Failed,
                    "kafka-unreachable",
                    "Kafka does not answer.",
                    "Check KAFKA__BOOTSTRAP."
                );
            }
        }

        standings = [.. standings.Where(s => group is null || s.Group == group)];
        var standing = standings switch
        {
            [] => throw CommandFailedException.NotFound(
                $"No process in this database has a place in {topic}[{partition}] of this Kafka cluster.",
                "Names of topics count as written; a process gets its place when it first claims the partition."
            ),
            [var one] => one,
            _ => throw CommandFailedException.Usage(
                $"Several groups read {topic}[{partition}].",
                $"Choose one with --group: {string.Join(", ", standings.Select(s => s.Group))}."
            ),
        };

        var offset = from switch
        {
            "earliest" => standing.Low,
            "latest" => standing.High,
            _ => asked,
        };
        if (offset < standing.Low || offset > standing.High)
            throw CommandFailedException.Usage(
                $"--from: offset {offset} is not in the log, which holds {standing.Low} to {standing.High}."
            );
        Confirmation.Ask(
            session,
            yes,
            offset > standing.Stored
                ? $"{topic}[{partition}] of {standing.Group} leaves out the offsets {standing.Stored} to {offset - 1}: they are not handled, and stand as a gap."
                : $"{topic}[{partition}] of {standing.Group} goes from offset {standing.Stored} to {offset}; what lies between is handled again.",
            "yes"
        );
        if (!await resume.Resume(standing, topic, partition, offset, session.RequestedBy, cancellationToken))
            throw CommandFailedException.NotFound(
                $"The place of {standing.Group} in {topic}[{partition}] has gone meanwhile."
            );

        if (session.Output.Json)
            session.Output.Document(
                new JsonObject
                {
                    ["topic"] = topic,
                    ["partition"] = partition,
                    ["group"] = standing.Group,
                    ["from"] = standing.Stored,
                    ["to"] = offset,
                    ["requestedBy"] = session.RequestedBy,
                }
            );
        else
            session.Output.Line(
                $"resume {topic}[{partition}]: {standing.Group} goes on at {offset}, asked by {session.RequestedBy}. Its owner notices within seconds; ./sync gaps shows the jump."
            );
        return ExitCodes.Done;
    }
}
