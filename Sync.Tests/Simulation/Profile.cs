using System.Text;
using Sync.Mapping;

namespace Sync.Tests.Simulation;

/// <summary>One kind of life: how often what happens. The figures are those of the model that the protocol was proved with.</summary>
sealed record Profile(string Name)
{
    public int Steps { get; init; } = 260;
    public int Edits { get; init; } = 14;

    // ---- people
    public double Creates { get; init; } = 0.12;
    public double Deletes { get; init; } = 0.05;
    public double Undeletes { get; init; } = 0.04;
    public double Clones { get; init; }
    public double SameEmail { get; init; } = 0.45;

    /// <summary>Two of Salesforce's records become one.</summary>
    public double Merges { get; init; }

    /// <summary>The product makes a customer again that it had deleted, under the same id.</summary>
    public double Recreates { get; init; }

    /// <summary>Both vendors have an automation that changes the phone whenever we have written it.</summary>
    public bool Automations { get; init; }

    // ---- faults
    public double LostBefore { get; init; } = 0.06;
    public double LostAfter { get; init; } = 0.08;
    public double LandsLate { get; init; } = 0.06;
    public double ReadFails { get; init; } = 0.04;
    public double SlowDown { get; init; } = 0.02;
    public double PauseAll { get; init; } = 0.003;
    public double KeySpent { get; init; } = 0.01;
    public double Crashes { get; init; } = 0.06;
    public double EventsLost { get; init; } = 0.12;
    public double EventsDoubled { get; init; } = 0.1;
    public double Repeats { get; init; } = 0.08;
    public double Brake { get; init; } = 0.5;

    /// <summary>Clocks of the databases and of the orchestrator's hosts differ by up to this from the vendors'.</summary>
    public TimeSpan Skew { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Probability of a jump of 25 hours: keys, suspicions, hashes run out.</summary>
    public double Ages { get; init; }

    // ---- kinds of systems
    public bool Guards { get; init; } = true;
    public bool Keys { get; init; } = true;
    public bool ProductReorders { get; init; }
    public bool ProductCoalesces { get; init; }
    public bool ProductBlind { get; init; }
    public bool Exists { get; init; } = true;
    public bool OneWay { get; init; }
    public int Refuses { get; init; }
    public int Subscribed { get; init; }
    public string StripeDeletes { get; init; } = "delete";
    public string PreRead { get; init; } = "read";
    public bool Hold { get; init; }
    public bool Forms { get; init; } = true;
    public bool Operators { get; init; }

    /// <summary>Operators decide about objects too: this customer, read it again, look away.</summary>
    public bool Matchers { get; init; }

    /// <summary>Probability, at each step, that a person is to be erased.</summary>
    public double Erases { get; init; }
    public bool AllowRecreate { get; init; }
    public bool FieldMappedLater { get; init; }
    public bool FieldUnmappedLater { get; init; }
    public bool Restores { get; init; }

    // ---- planted bugs that need no patch: rules that are SQL, the product's or the feed's
    public bool Unfenced { get; init; }
    public bool Unleased { get; init; }
    public bool NoSweep { get; init; }
    public bool NoStickyAck { get; init; }
    public bool NoAck { get; init; }
    public bool UndeclaredForms { get; init; }
    public bool FencedAtTheReportOnly { get; init; }
    public bool VersionsNotRaised { get; init; }
    public bool UpdatesByUpsert { get; init; }
    public bool CreatesByUpsert { get; init; }
    public bool RevisionsOfPeopleOnly { get; init; }
    public bool NoLoopBrake { get; init; }

    public SyncConfig Config(bool late) =>
        Configs.Get(this, phoneInStripe: FieldMappedLater ? late : !FieldUnmappedLater || !late);

    public static readonly Profile Plain = new("plain");

    public static readonly IReadOnlyList<Profile> All =
    [
        Plain,
        Plain with
        {
            Name = "deletion-heavy",
            Deletes = 0.2,
            Undeletes = 0.15,
            Edits = 10,
        },
        Plain with
        {
            Name = "identity-heavy",
            Creates = 0.5,
            SameEmail = 0.7,
            Deletes = 0.06,
        },
        Plain with
        {
            Name = "matched by operators",
            Creates = 0.5,
            SameEmail = 0.7,
            Deletes = 0.06,
            Operators = true,
            Matchers = true,
        },
        Plain with
        {
            Name = "merges",
            Creates = 0.35,
            Merges = 0.2,
        },
        Plain with
        {
            Name = "copied ids",
            Clones = 0.3,
        },
        Plain with
        {
            Name = "late writes",
            LandsLate = 0.2,
            Steps = 420,
            Edits = 30,
        },
        Plain with
        {
            Name = "long",
            Steps = 800,
            Edits = 60,
        },
        Plain with
        {
            Name = "faultless",
            LostBefore = 0,
            LostAfter = 0,
            LandsLate = 0,
            ReadFails = 0,
            SlowDown = 0,
            PauseAll = 0,
            KeySpent = 0,
            Crashes = 0,
            EventsLost = 0,
            EventsDoubled = 0,
            Repeats = 0,
        },
        Plain with
        {
            Name = "coalesced snapshots",
            ProductCoalesces = true,
        },
        Plain with
        {
            Name = "blind product",
            ProductBlind = true,
        },
        Plain with
        {
            Name = "reordered product",
            ProductReorders = true,
        },
        Plain with
        {
            Name = "no guard",
            Guards = false,
            LandsLate = 0.12,
            Steps = 420,
            Edits = 30,
        },
        Plain with
        {
            Name = "no look before an update",
            Guards = false,
            PreRead = "none",
        },
        Plain with
        {
            Name = "refused values",
            Refuses = 5,
        },
        Plain with
        {
            Name = "holds",
            Hold = true,
            Operators = true,
        },
        Plain with
        {
            Name = "keys forgotten",
            Keys = false,
        },
        Plain with
        {
            Name = "field mapped later",
            FieldMappedLater = true,
        },
        Plain with
        {
            Name = "field unmapped later",
            FieldUnmappedLater = true,
        },
        Plain with
        {
            Name = "live subscriptions",
            Subscribed = 2,
            StripeDeletes = "delete-unless-subscribed",
            Deletes = 0.2,
            Undeletes = 0.15,
            Edits = 10,
        },
        Plain with
        {
            Name = "kept",
            StripeDeletes = "keep",
            Deletes = 0.2,
            Edits = 10,
        },
        Plain with
        {
            Name = "rate limits",
            SlowDown = 0.25,
            PauseAll = 0.03,
        },
        Plain with
        {
            Name = "ages",
            Ages = 0.02,
            LandsLate = 0.12,
        },
        Plain with
        {
            Name = "clock skew",
            Skew = TimeSpan.FromMinutes(4),
            Ages = 0.01,
        },
        Plain with
        {
            Name = "operators",
            Operators = true,
            Deletes = 0.15,
            Refuses = 5,
        },
        Plain with
        {
            Name = "erasure",
            Erases = 0.02,
            Creates = 0.3,
            Deletes = 0.1,
            Undeletes = 0.1,
            Recreates = 0.1,
        },
        Plain with
        {
            Name = "created again",
            Deletes = 0.2,
            Recreates = 0.2,
            Undeletes = 0.1,
            Operators = true,
        },
        Plain with
        {
            Name = "created again and followed",
            Deletes = 0.2,
            Recreates = 0.2,
            Undeletes = 0.1,
            AllowRecreate = true,
        },
        Plain with
        {
            Name = "automations",
            Automations = true,
        },
        Plain with
        {
            Name = "one-way product",
            OneWay = true,
            Exists = false,
        },
        Plain with
        {
            Name = "restored",
            Restores = true,
        },
        Plain with
        {
            Name = "restored, late writes",
            Restores = true,
            LandsLate = 0.2,
            Steps = 420,
            Edits = 30,
        },
    ];

    public static Profile Named(string name) =>
        All.FirstOrDefault(p => p.Name == name)
        ?? throw new ArgumentException(
            $"there is no profile \"{name}\"; there are {string.Join(", ", All.Select(p => $"\"{p.Name}\""))}",
            nameof(name)
        );

    static class Configs
    {
        static readonly Dictionary<string, SyncConfig> Known = [];

        public static SyncConfig Get(Profile p, bool phoneInStripe)
        {
            var stripePhone = phoneInStripe ? """, "phone": { "to": "phone", "form": ["lower"] }""" : "";
            var forms = p.UndeclaredForms ? "" : """, "form": ["upper"]""";
            var systems = $$"""
                [
                  { "name": "product", "fields": { "name": { "to": "name" }, "email": { "to": "email" },
                      "phone": { "to": "phone" }, "attributes.tier": { "to": "attributes.tier" } } },
                  { "name": "stripe", "onDelete": "{{p.StripeDeletes}}", "guard": "{{p.PreRead}}", "fields": {
                      "name": { "to": "name" }, "email": { "to": "email" }{{stripePhone}} } },
                  { "name": "salesforce", "guard": "{{p.PreRead}}", "fields": { "name": { "to": "Name" },
                      "email": { "to": "Email", "form": ["trim", "lower"] }, "phone": { "to": "Phone"{{forms}} },
                      "attributes.tier": { "to": "Tier" } } }
                ]
                """;
            var rule = p.Hold ? "hold" : "latest";
            var fields = $$"""
                [
                  { "path": "name", "owner": "product", "onConflict": "{{(p.Hold ? "hold" : "owner")}}" },
                  { "path": "email", "owner": "any", "onConflict": "{{rule}}" },
                  { "path": "phone", "owner": "any", "onConflict": "{{rule}}" },
                  { "path": "attributes.tier", "owner": "salesforce", "onConflict": "owner" }
                ]
                """;
            lock (Known)
            {
                if (!Known.TryGetValue(systems + fields, out var config))
                    Known[systems + fields] = config = SyncConfig.Parse(
                        Encoding.UTF8.GetBytes(systems),
                        Encoding.UTF8.GetBytes(fields)
                    );
                return config;
            }
        }
    }
}
