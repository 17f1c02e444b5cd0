using System.Globalization;
using System.Text;
using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using static Sync.Tests.Adapters.FakeVendor;
using SagaRules = Sync.Orchestrator.Customers.Merging.Rules;

namespace Sync.Tests.Adapters;

/// <summary>
/// The whole circle in random schedules: a product, the saga's own decisions, the frame with its real tables, and a vendor
/// that fails before and after the effect or lets it come late. Workers die between any two steps, leases of living ones run
/// out, events come doubled, in any order, or not until the sweep, old messages are repeated. One seed is one schedule.
/// </summary>
public sealed class SimulationTests
{
    /// <summary>More of them: SYNC_FRAME_SEEDS.</summary>
    static readonly int Seeds = int.TryParse(
        Environment.GetEnvironmentVariable("SYNC_FRAME_SEEDS"),
        CultureInfo.InvariantCulture,
        out var seeds
    )
        ? seeds
        : 4;

    const int Moves = 160;

    [Theory]
    [InlineData("keys")]
    [InlineData("guards")]
    [InlineData("neither")]
    public async Task However_it_goes_all_systems_agree_and_every_command_takes_effect_once(string vendor)
    {
        for (var seed = 1; seed <= Seeds; seed++)
        {
            await using var frame = await Frame.Start(v => Arrange(v, vendor));
            var world = new World(frame, seed);
            await world.Run(Moves);
            Assert.True(world.Faults.Count == 0, $"{vendor}, seed {seed}: {string.Join("; ", world.Faults)}\n{world}");
        }
    }

    static void Arrange(FakeVendor vendor, string kind)
    {
        vendor.Keys = kind == "keys";
        vendor.Guards = kind == "guards";
        vendor.UniqueIds = kind == "guards";
        var day = TimeSpan.FromHours(24);
        vendor.Traits =
            kind == "keys"
                ? new VendorTraits(1, day, day, AnswersWithRecord: true)
                : new VendorTraits(10, null, day, AnswersWithRecord: false);
    }

    sealed class World(Frame frame, int seed)
    {
        static readonly string[] Fields = ["name", "email", "phone"];

        // A conflict about the name goes to the product, about the others to the later one.
        static readonly SyncConfig Config = SyncConfig.Parse(
            """
            [
              { "name": "product", "fields": {
                  "name": { "to": "name" }, "email": { "to": "email" }, "phone": { "to": "phone" } } },
              { "name": "vendor", "fields": {
                  "name": { "to": "Name", "max": 20, "form": ["trim"] },
                  "email": { "to": "Email", "max": 40, "form": ["trim", "lower"] },
                  "phone": { "to": "Phone", "max": 12 } } }
            ]
            """u8,
            """
            [ { "path": "email", "owner": "any", "onConflict": "latest" },
              { "path": "phone", "owner": "any", "onConflict": "latest" } ]
            """u8
        );

        readonly Random _random = new(seed);
        readonly SagaRules _rules = new(Config, OneWay: false, (_, _) => false);
        readonly CustomerSync _saga = new() { CustomerId = Frame.Customer, CurrentState = nameof(Stage.Live) };
        readonly Dictionary<string, string?> _product = [];
        readonly HashSet<Guid> _applied = [];
        readonly Dictionary<string, List<string?>> _history = [];
        readonly Queue<PushCustomer> _commands = new();
        readonly List<PushCustomer> _sent = [];
        readonly List<SteppedWorker> _workers = [];
        readonly List<Hint> _lost = [];
        readonly StringBuilder _trace = new();
        AppliedCommand? _lastApplied;
        long _revision;
        int _values;
        int _read;
        bool _calm;

        public List<string> Faults { get; } = [];

        public override string ToString() => _trace.ToString();

        public async Task Run(int moves)
        {
            frame.Vendor.Always = Fail;
            foreach (var field in Fields)
                _product[field] = Value(field);
            Snapshot();
            for (var i = 0; i < moves; i++)
            {
                frame.Clock.Advance(TimeSpan.FromSeconds(2));
                await Move();
            }

            _calm = true;
            for (var round = 0; round < 3; round++)
            {
                await Rest();
                // The sweep: every record becomes a hint again, and what was lost comes after all.
                foreach (var hint in _lost)
                    await frame.TakeIn(hint);
                _lost.Clear();
                foreach (var row in frame.Vendor.Live)
                    await frame.TakeIn(new Hint { ExternalId = row.Id, Kind = HintKind.Look });
            }

            await Rest();
            await Check();
        }

        // ---- one move of anybody ----

        async Task Move()
        {
            switch (_random.Next(14))
            {
                case 0:
                    var field = Fields[_random.Next(3)];
                    _product[field] = Value(field);
                    Note($"product sets {field} to {_product[field]}");
                    Snapshot();
                    break;
                case 1 when frame.Vendor.Live is [var row, ..]:
                    var path = Fields[_random.Next(3)];
                    var value = Normaliser.Stored(frame.Map.Fields[path], Value(path));
                    Note($"person sets {path} of {row.Id} to {value}");
                    frame.Vendor.Edit(row.Id, path, value);
                    break;
                case 2 or 3:
                    await Command();
                    break;
                case 4 or 5:
                    await Event();
                    break;
                case 6:
                    await Reports();
                    break;
                case 7 when _saga.System("vendor").Sent is { } sent:
                    _commands.Enqueue((PushCustomer)sent.ToMessage(Frame.Customer, "vendor"));
                    break;
                case 8 when _random.Next(3) == 0:
                    Note("what hung lands");
                    frame.Vendor.Land();
                    break;
                case 9 when _random.Next(3) == 0:
                    Note("leases run out");
                    await frame.LeasesRunOut();
                    break;
                default:
                    await Worker();
                    break;
            }
        }

        async Task Command()
        {
            if (_commands.TryDequeue(out var command))
            {
                _sent.Add(command);
                await frame.TakeIn(command);
            }

            // An old one once more.
            if (_sent.Count > 0 && _random.Next(12) == 0)
                await frame.TakeIn(_sent[_random.Next(_sent.Count)]);
        }

        async Task Event()
        {
            if (frame.Vendor.Events.IsEmpty)
                return;
            // Any of those that wait, once or twice, or not at all.
            List<Hint> all = [.. frame.Vendor.Events];
            frame.Vendor.Events.Clear();
            var hint = all[_random.Next(all.Count)];
            all.Remove(hint);
            all.ForEach(frame.Vendor.Events.Enqueue);
            if (!_calm && _random.Next(8) == 0)
            {
                _lost.Add(hint with { Kind = HintKind.Look });
                return;
            }

            await frame.TakeIn(_random.Next(10) == 0 ? [hint, hint] : [hint]);
        }

        async Task Worker()
        {
            if (_workers.Count == 0 || _random.Next(4) == 0)
            {
                await frame.BackoffsEnd();
                if (await frame.TryBegin() is { } begun)
                    _workers.Add(begun);
                return;
            }

            var worker = _workers[_random.Next(_workers.Count)];
            if (!_calm && _random.Next(16) == 0)
            {
                Note("a worker dies");
                _workers.Remove(worker);
            }
            else if (!await worker.Step())
            {
                _workers.Remove(worker);
                await worker.End();
            }
        }

        Fault? Fail(string operation)
        {
            if (_calm)
                return null;
            Fault? fault = _random.Next(100) switch
            {
                < 6 => Fault.LostBefore,
                < 14 => Fault.After,
                < 20 when operation is "update" or "create" => Fault.Late,
                _ => null,
            };
            if (fault is not null)
                Note($"{operation}: {fault}");
            return fault;
        }

        // ---- the saga and the product ----

        async Task Reports()
        {
            var all = await frame.Reports();
            while (_read < all.Count)
            {
                Hear(Report.Of(all[_read++]));
                if (!_calm && _random.Next(8) == 0)
                    Hear(Report.Of(all[_random.Next(_read)]));
            }
        }

        void Hear(Report report)
        {
            var moment = new Moment(DateTimeOffset.UnixEpoch, Guid.NewGuid);
            var settled = Settling.Settle(_saga, report, _rules, moment);
            if (settled.Has(Facts.Dropped))
                return;
            Note(
                $"saga hears {report.System} {report.Obs}: {string.Join(' ', report.Fields?.Select(f => $"{f.Key}={f.Value}") ?? [])}"
            );
            Observing.Observe(_saga, report, _rules);
            Remember();
            foreach (var message in Pumping.Pump(_saga, _rules, moment).Messages)
            {
                if (message is PushCustomer push)
                {
                    Note(
                        $"saga asks {push.Operation} {string.Join(' ', push.Write.Select(w => $"{w.Key}={w.Value}"))}"
                    );
                    _commands.Enqueue(push);
                }
                else if (message is CustomerCommand asked)
                {
                    Apply(asked);
                }
            }
        }

        void Apply(CustomerCommand asked)
        {
            if (_applied.Add(asked.CommandId))
            {
                var written = asked
                    .Write.Where(w => _product.GetValueOrDefault(w.Key) == asked.Expect.GetValueOrDefault(w.Key))
                    .ToDictionary(w => w.Key, w => w.Value);
                foreach (var (path, value) in written)
                    _product[path] = value;
                _lastApplied = new AppliedCommand(asked.CommandId, Outcome.Done, written);
            }

            Snapshot();
        }

        void Snapshot() =>
            Hear(
                Report.Of(
                    new CustomerUpdated
                    {
                        CustomerId = Frame.Customer,
                        Revision = ++_revision,
                        Customer = new CustomerFields(_product),
                        Applied = _lastApplied,
                    },
                    Config.System("product")
                )
            );

        void Remember()
        {
            foreach (var field in Fields)
            {
                if (!_history.TryGetValue(field, out var history))
                    _history[field] = history = [];
                var golden = _saga.Golden.At(field);
                if (history.Count > 0 && history[^1] == golden)
                    continue;
                if (history.Contains(golden))
                    Faults.Add($"golden {field} returned to {golden}");
                history.Add(golden);
            }
        }

        // ---- the end ----

        async Task Rest()
        {
            for (var turn = 0; turn < 400; turn++)
            {
                frame.Clock.Advance(TimeSpan.FromSeconds(30));
                frame.Vendor.Land();
                _workers.Clear();
                await frame.LeasesRunOut();
                await frame.BackoffsEnd();
                var before = (_commands.Count, frame.Vendor.Events.Count, await frame.WorkRows());
                while (_commands.Count > 0)
                    await Command();
                while (!frame.Vendor.Events.IsEmpty)
                    await Event();
                await frame.Work();
                await Reports();
                if (before == (0, 0, 0) && _commands.Count == 0 && await frame.WorkRows() == 0)
                    return;
            }

            Faults.Add("no rest");
        }

        async Task Check()
        {
            var system = _saga.System("vendor");
            if (system.Sent is not null)
                Faults.Add("a command is in flight at rest");
            var row = frame.Vendor.Live.FirstOrDefault(r => r.Id == system.Ext);
            if (frame.Vendor.Live.Count != 1 || row is null)
                Faults.Add($"{frame.Vendor.Live.Count} records, linked {system.Ext}");
            foreach (var field in Fields)
            {
                var golden = _saga.Golden.At(field);
                if (_product[field] != golden)
                    Faults.Add($"product: {field} is {_product[field]}, golden {golden}");
                if (row is not null && !Normaliser.Same(frame.Map.Fields[field], golden, row.Fields[field]))
                    Faults.Add($"vendor: {field} is {row.Fields[field]}, golden {golden}");
            }

            if (frame.Vendor.Keys || frame.Vendor.Guards)
                Faults.AddRange(
                    frame
                        .Vendor.Effects.Where(e => e.Value > 1)
                        .Select(e => $"{e.Key.Command} took effect {e.Value} times")
                );
            if (
                await frame.Database.Scalar<long>($"select count(*) from {frame.Schema}.ledger where state = 'open'")
                > 0
            )
                Faults.Add("an entry of the ledger is open at rest");
        }

        /// <summary>No value occurs twice; e-mails are in mixed case, so that the vendor stores another form.</summary>
        string Value(string field) => field == "email" ? $"E{++_values}@X.org" : $"{field[0]}{++_values}";

        void Note(string line) => _trace.AppendLine(line);
    }
}
