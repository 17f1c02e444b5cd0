using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Orchestrator.Comparing;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Commands;

/// <summary>
/// <c>import</c> and <c>reconcile</c>: a vendor's objects, compared with the golden record and, if asked for, acted on. The
/// work is the orchestrator's and the adapter's; the verb looks on. Ended early it changes nothing, and typed again it goes on
/// looking where the work is.
/// </summary>
static class CompareVerbs
{
    const string S = OrchestratorDb.Schema;

    const string Listing = "listing";
    const string Closing = "closing";

    /// <summary>Whether a finding f of the comparison c is one that is acted on. $2 what an import acts on, $3 what a repair does.</summary>
    const string IsActedOn = $"""
        case c.kind when 'import' then f.class = any($2)
             else f.class = any($3) or (f.class = '{FindingClasses.Link}' and f.carries_id) end
        """;

    /// <summary>A list of millions is compared as a whole for minutes, in which no number moves.</summary>
    static readonly TimeSpan ClosingWait = TimeSpan.FromMinutes(15);

    static readonly TimeSpan Look = TimeSpan.FromMilliseconds(300);

    /// <summary>How often something is said where no terminal draws a bar.</summary>
    static readonly TimeSpan Every = TimeSpan.FromSeconds(10);

    static readonly Option<bool> Yes = new("--yes") { Description = "Do not ask whether to go on" };

    static readonly Option<int> Limit = new("--limit")
    {
        Description = "Findings that are listed one by one; all are counted",
        HelpName = "rows",
        DefaultValueFactory = _ => 20,
    };

    public static IEnumerable<Command> Create(CommandLine.Verbs verbs)
    {
        var from = new Option<string>("--from")
        {
            Description = "The system whose catalog is loaded",
            HelpName = "system",
            Required = true,
        };
        var dry = new Option<bool>("--dry-run")
        {
            Description = "Say what an import would do and cost, and change nothing",
        };
        var repair = new Option<bool>("--repair")
        {
            Description = "Have what differs read again and mended, by the ordinary way and its brakes",
        };
        var system = new Option<string?>("--system")
        {
            Description = "Only this system, by its name in systems.json",
            HelpName = "system",
        };
        return
        [
            verbs.Verb(
                "import",
                "Loads a catalog that was there before Sync: links what is known by id or e-mail, makes customers of the rest",
                [from, dry, Yes, Limit],
                (session, parsed, token) =>
                    Import(
                        session,
                        CustomerVerbs.Known(session, parsed.GetRequiredValue(from))!,
                        parsed.GetValue(dry),
                        parsed.GetValue(Yes),
                        Limited(parsed),
                        token
                    )
            ),
            verbs.Verb(
                "reconcile",
                "Compares every vendor's objects with the golden record, and prints what differs by class",
                [system, repair, Limit],
                (session, parsed, token) =>
                    Reconcile(
                        session,
                        CustomerVerbs.Known(session, parsed.GetValue(system)),
                        parsed.GetValue(repair),
                        Limited(parsed),
                        token
                    )
            ),
        ];
    }

    static int Limited(ParseResult parsed)
    {
        var limit = parsed.GetValue(Limit);
        ViewVerbs.CheckLimit(limit);
        return limit;
    }

    static async Task<int> Import(
        Session session,
        string system,
        bool dryRun,
        bool yes,
        int limit,
        CancellationToken cancellationToken
    )
    {
        if (system == SystemNames.Product)
            return await ProductImport.Run(session, dryRun, yes, cancellationToken);
        var apply = !dryRun;
        var run = await Open(session, system, "import", apply, cancellationToken);
        if (run is null)
        {
            if (apply)
                Confirmation.Ask(
                    session,
                    yes,
                    $"Every object of {system} that is no customer's will be linked to the customer that it is, or become one. --dry-run says what that means.",
                    "yes"
                );
            run = await Begin(session, system, ComparisonKind.Import, apply, cancellationToken);
        }

        var standing = await Watch(session, [run.Value], cancellationToken);
        if (standing is not [{ IsDone: true } done])
            return Unfinished(session, standing);
        var results = apply ? await Settle(session, done, cancellationToken) : null;
        var summary = await Summary(session, done, limit, results, cancellationToken);
        if (session.Output.Json)
        {
            session.Output.Document(summary.Json);
            return ExitCodes.Done;
        }

        session.Output.Heading(
            dryRun
                ? $"An import from {system} would do this. Nothing was changed."
                : $"Import from {system}: {done.Applied} objects were handed over."
        );
        summary.Print(session.Output);
        return ExitCodes.Done;
    }

    static async Task<int> Reconcile(
        Session session,
        string? only,
        bool repair,
        int limit,
        CancellationToken cancellationToken
    )
    {
        List<Guid> runs = [];
        foreach (var system in session.Config.Systems.Keys.Where(s => s != SystemNames.Product && (only ?? s) == s))
            runs.Add(
                await Open(session, system, "reconcile", repair, cancellationToken)
                    ?? await Begin(session, system, ComparisonKind.Reconcile, repair, cancellationToken)
            );

        var standings = await Watch(session, runs, cancellationToken);
        if (!standings.All(s => s.IsDone) || standings.Count < runs.Count)
            return Unfinished(session, standings);

        var systems = new JsonArray();
        foreach (var standing in standings)
        {
            var summary = await Summary(session, standing, limit, results: null, cancellationToken);
            if (session.Output.Json)
            {
                systems.Add((JsonNode?)summary.Json);
                continue;
            }

            session.Output.Heading(
                $"{standing.System}: {standing.Seen} objects, {standing.Same} as the golden record says"
                    + (repair ? $", {standing.Applied} are being mended" : "")
            );
            summary.Print(session.Output);
        }

        // The product tells of every change itself; what it lacks is what it was asked for and has not applied.
        var product = await Rows.Read(
            session.Database,
            $"select class, count(*) as customers from dashboard.drift where system = '{SystemNames.Product}' group by class order by class",
            ViewVerbs.MaxLimit,
            cancellationToken
        );
        if (session.Output.Json)
        {
            session.Output.Document(new JsonObject { ["systems"] = systems, ["product"] = product.ToJson() });
            return ExitCodes.Done;
        }

        session.Output.Heading("product");
        if (product.Items.Count == 0)
            session.Output.Line("in step");
        else
            product.Print(session.Output, "class", "customers");
        return ExitCodes.Done;
    }

    // ---- a run ----

    /// <summary>How far a comparison is.</summary>
    sealed record Progress(
        Guid Id,
        string System,
        string State,
        long Seen,
        long Same,
        long Applied,
        long ToApply,
        DateTime AskedAt
    )
    {
        public bool IsDone => State == "done";
    }

    /// <summary>The one that is under way, if it is what is asked for.</summary>
    /// <exception cref="CommandFailedException">Another is under way.</exception>
    static async Task<Guid?> Open(
        Session session,
        string system,
        string kind,
        bool apply,
        CancellationToken cancellationToken
    )
    {
        var open = await Rows.Read(
            session.Database,
            $"select id, kind, apply, requested_by from {S}.comparison where system = $1 and {ComparisonStore.UnderWay}",
            1,
            cancellationToken,
            system
        );
        if (open.Items is not [var row])
            return null;
        var same = (string)open.Value(row, "kind")! == kind && (bool)open.Value(row, "apply")! == apply;
        if (!same)
            throw new CommandFailedException(
                ExitCodes.Nothing,
                "under-way",
                $"Another comparison of {system} is under way ({open.Value(row, "kind")}{((bool)open.Value(row, "apply")! ? "" : ", which only looks")}, asked by {open.Value(row, "requested_by")}).",
                "Ask again when it is done; dashboard.comparisons shows how far it is."
            );
        session.Output.Note($"{system}: goes on with what {open.Value(row, "requested_by")} asked for before.");
        return (Guid)open.Value(row, "id")!;
    }

    static async Task<Guid> Begin(
        Session session,
        string system,
        ComparisonKind kind,
        bool apply,
        CancellationToken cancellationToken
    )
    {
        var id = Guid.NewGuid();
        await session.Produce(
            new Compare
            {
                ComparisonId = id,
                System = system,
                Kind = kind,
                Apply = apply,
                RequestedBy = session.RequestedBy,
                RequestedAt = session.Time.GetUtcNow(),
            },
            cancellationToken
        );
        return id;
    }

    /// <summary>Until all are done, or none has moved for as long as an answer is waited for.</summary>
    static async Task<IReadOnlyList<Progress>> Watch(
        Session session,
        List<Guid> runs,
        CancellationToken cancellationToken
    )
    {
        var bar = new Bar(session);
        IReadOnlyList<Progress> before = [];
        var moved = Stopwatch.GetTimestamp();
        while (true)
        {
            var asked = Stopwatch.GetTimestamp();
            var now = await Standing(session, runs, cancellationToken);
            var took = Stopwatch.GetElapsedTime(asked);
            if (!now.SequenceEqual(before))
                moved = Stopwatch.GetTimestamp();
            before = now;
            var finished = now.Count == runs.Count && now.All(p => p.IsDone);
            bar.Show(
                string.Join("; ", now.Select(Words)),
                now.Sum(p => p.Applied),
                now.Any(p => p.State is Listing or Closing) ? null : now.Sum(p => p.ToApply),
                finished
            );
            var patience = now.Any(p => p.State == Closing) ? session.Wait + ClosingWait : session.Wait;
            if (finished || Stopwatch.GetElapsedTime(moved) >= patience)
                return now;
            await Task.Delay(Pause(took), session.Time, cancellationToken);
        }
    }

    /// <summary>Of a large run a look counts for long: looking on takes a tenth of the time, and the run has the rest.</summary>
    static TimeSpan Pause(TimeSpan took) => took * 9 > Look ? took * 9 : Look;

    static string Words(Progress p) =>
        p.State switch
        {
            Listing => string.Create(CultureInfo.InvariantCulture, $"{p.System}: {p.Seen} objects listed"),
            Closing => string.Create(
                CultureInfo.InvariantCulture,
                $"{p.System}: {p.Seen} objects, being compared as a whole"
            ),
            _ => string.Create(
                CultureInfo.InvariantCulture,
                $"{p.System}: {p.Seen} objects, {p.Applied} of {p.ToApply} handed over"
            ),
        };

    static async Task<IReadOnlyList<Progress>> Standing(
        Session session,
        List<Guid> runs,
        CancellationToken cancellationToken
    )
    {
        var rows = await Rows.Read(
            session.Database,
            $"""
            select id, system, state, seen, same, applied, asked_at,
                   case when apply and state not in ('{Listing}', '{Closing}')
                        then (select count(*) from {S}.comparison_finding f where f.comparison_id = c.id and {IsActedOn})
                        else 0 end as to_apply
              from {S}.comparison c where id = any($1) order by system
            """,
            runs.Count,
            cancellationToken,
            runs.ToArray(),
            NextPiece.OfImport,
            NextPiece.OfLinked
        );
        return
        [
            .. rows.Items.Select(r => new Progress(
                (Guid)rows.Value(r, "id")!,
                (string)rows.Value(r, "system")!,
                (string)rows.Value(r, "state")!,
                (long)rows.Value(r, "seen")!,
                (long)rows.Value(r, "same")!,
                (long)rows.Value(r, "applied")!,
                (long)rows.Value(r, "to_apply")!,
                (DateTime)rows.Value(r, "asked_at")!
            )),
        ];
    }

    static int Unfinished(Session session, IReadOnlyList<Progress> standings)
    {
        var wait = string.Create(CultureInfo.InvariantCulture, $"{session.Wait.TotalSeconds:0}");
        if (session.Output.Json)
            session.Output.Document(
                new JsonObject
                {
                    ["outcome"] = "pending",
                    ["runs"] = new JsonArray([
                        .. standings.Select(p =>
                            (JsonNode?)
                                new JsonObject
                                {
                                    ["id"] = p.Id.ToString(),
                                    ["system"] = p.System,
                                    ["state"] = p.State,
                                    ["seen"] = p.Seen,
                                    ["applied"] = p.Applied,
                                }
                        ),
                    ]),
                }
            );
        else
            session.Output.Line(
                $"Asked, and nothing has moved for {wait} s{(standings.Count == 0 ? "" : $" ({string.Join("; ", standings.Select(Words))})")}. It stays asked: the adapter or the orchestrator may be down or behind (./sync status). Type it again to look on."
            );
        return ExitCodes.Pending;
    }

    // ---- what became of an import ----

    /// <summary>
    /// Waits until every object that was handed over is a customer's or parked, or nothing moves any more; answers how many
    /// are what. One whose customer the product has not agreed to yet still asks: the product may say that the person is
    /// another customer, who may have an object.
    /// </summary>
    static async Task<JsonObject> Settle(Session session, Progress run, CancellationToken cancellationToken)
    {
        var bar = new Bar(session);
        var before = "";
        var moved = Stopwatch.GetTimestamp();
        while (true)
        {
            var asked = Stopwatch.GetTimestamp();
            var rows = await Rows.Read(
                session.Database,
                $"""
                select count(*) filter (where became = 'linked') as linked,
                       count(*) filter (where became = 'parked') as parked,
                       count(*) filter (where became = 'asking') as asking,
                       count(*) filter (where became = 'waiting') as waiting,
                       count(*) as handed
                  from {S}.comparison_finding f
                  left join {S}.found_object o on o.correlation_id = f.correlation_id
                  left join {S}.customer c on c.customer_id = coalesce(o.customer_id, f.customer_id)
                 cross join lateral (
                       select case
                              when o.current_state = 'Parked' then 'parked'
                              when o.ext is null and c.systems #>> array['systems', $2, 'ext'] = f.external_id then 'linked'
                              when o.ext is null then 'waiting'
                              when o.current_state = 'Asking'
                                or c.current_state in ('{nameof(Stage.Proposed)}', '{nameof(
                    Stage.Merged
                )}') then 'asking'
                              else 'linked' end as became) b
                 where f.comparison_id = $1 and f.applied
                """,
                1,
                cancellationToken,
                run.Id,
                run.System
            );
            var results = rows.ToJson(rows.Items[0]);
            var took = Stopwatch.GetElapsedTime(asked);
            var text = results.ToJsonString();
            if (text != before)
                moved = Stopwatch.GetTimestamp();
            before = text;
            var settled = (long)results["linked"]! + (long)results["parked"]!;
            var finished = settled == (long)results["handed"]!;
            bar.Show(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{run.System}: {(long)results["linked"]!} linked, {(long)results["parked"]!} parked"
                ),
                settled,
                (long)results["handed"]!,
                finished
            );
            if (finished || Stopwatch.GetElapsedTime(moved) >= session.Wait)
                return results;
            await Task.Delay(Pause(took), session.Time, cancellationToken);
        }
    }

    // ---- what was found ----

    sealed record Found(JsonObject Json, Action<Output> Print);

    static async Task<Found> Summary(
        Session session,
        Progress run,
        int limit,
        JsonObject? results,
        CancellationToken cancellationToken
    )
    {
        var classes = await Rows.Read(
            session.Database,
            $"""
            select class, count(*) as objects, count(*) filter (where paths <> array[]::text[]) as with_differences
              from {S}.comparison_finding where comparison_id = $1 group by class order by class
            """,
            ViewVerbs.MaxLimit,
            cancellationToken,
            run.Id
        );
        // What is left alone costs nothing.
        var asked = await Rows.Read(
            session.Database,
            $"""
            select split_part(k.key, ' ', 1) as system, split_part(k.key, ' ', 2) as operation,
                   sum(k.value::bigint)::bigint as objects
              from {S}.comparison c join {S}.comparison_finding f on f.comparison_id = c.id
             cross join lateral jsonb_each_text(f.costs) k
             where c.id = $1 and {IsActedOn} group by 1, 2
            """,
            ViewVerbs.MaxLimit,
            cancellationToken,
            run.Id,
            NextPiece.OfImport,
            NextPiece.OfLinked
        );
        var costs = new CallCosts(session.Config);
        foreach (var row in asked.Items)
            costs.Add(
                (string)asked.Value(row, "system")!,
                (string)asked.Value(row, "operation")!,
                (long)asked.Value(row, "objects")!
            );
        // What is plainly a create or a plain link needs no look; what does comes first.
        var findings = await Rows.Read(
            session.Database,
            $"""
            select class, external_id, customer_id, paths from {S}.comparison_finding
             where comparison_id = $1 and class <> '{FindingClasses.Create}'
               and (class <> '{FindingClasses.Link}' or paths <> array[]::text[])
             order by class, subject
            """,
            limit,
            cancellationToken,
            run.Id
        );
        var json = new JsonObject
        {
            ["id"] = run.Id.ToString(),
            ["system"] = run.System,
            ["seen"] = run.Seen,
            ["same"] = run.Same,
            ["applied"] = run.Applied,
            ["classes"] = classes.ToJson(),
            ["findings"] = findings.ToJson(),
            ["more"] = findings.More,
            ["results"] = results,
        };
        costs.AddTo(json);
        return new(
            json,
            output =>
            {
                if (classes.Items.Count == 0)
                    output.Line($"{run.Seen} objects, and all are as the golden record says.");
                else
                    classes.Print(output, "class", "objects", "with_differences");
                costs.Print(output);
                if (findings.Items.Count > 0)
                    findings.Print(output, "class", "external_id", "customer_id", "paths");
                if (findings.More)
                    output.Note("There are more; --limit shows them, and dashboard.findings has all.");
                if (results is not null)
                    output.Line(
                        $"{results["linked"]} are customers now, {results["parked"]} wait for a person (./sync attention), {(long)results["asking"]! + (long)results["waiting"]!} are on their way."
                    );
            }
        );
    }

    /// <summary>How far something is: on the error stream, beside the result: a bar where that is a terminal, else now and then a line.</summary>
    internal sealed class Bar(Session session)
    {
        const int Width = 30;
        long _shown;

        public void Show(string words, long done, long? all, bool finished)
        {
            if (session.Output.Json)
                return;
            if (session.Terminal.ErrorIsTerminal)
            {
                var filled =
                    finished ? Width
                    : all is > 0 ? (int)(done * Width / all.Value)
                    : 0;
                session.Terminal.Error.Write(
                    $"\r[{new string('#', filled)}{new string('.', Width - filled)}] {words, -60}{(finished ? "\n" : "")}"
                );
                return;
            }

            if (!finished && _shown != 0 && Stopwatch.GetElapsedTime(_shown) < Every)
                return;
            if (_shown != 0 && words.Length > 0)
                session.Output.Note(words);
            _shown = Stopwatch.GetTimestamp();
        }
    }
}
