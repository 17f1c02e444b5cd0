using System.Text.Json.Serialization;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Systems;

namespace Sync.Orchestrator.Customers;

/// <summary>What the saga knows of a customer in one system.</summary>
sealed class SystemState
{
    /// <summary>The vendor's id of the object; of the product, in a merged customer, the id it became.</summary>
    public string? Ext { get; set; }
    public bool Linked { get; set; }

    /// <summary>Whether our id stands on the object, as last reported. A level: it is asked for until a report shows it.</summary>
    public bool IdOnObject { get; set; }
    public bool Gone { get; set; }

    /// <summary>One of <see cref="BrakeReasons"/>, or null. A system with one is not asked for a deletion.</summary>
    public string? Brake { get; set; }

    /// <summary>The customer's life in this system; a restored object starts a new one.</summary>
    public int Gen { get; set; }

    /// <summary>What the system is known to hold, in its own form.</summary>
    public Values Base { get; set; } = [];

    /// <summary>The golden value that <see cref="Base"/> stands for.</summary>
    public Values At { get; set; } = [];

    /// <summary>Golden values that the system refused; <see cref="WholeCommand"/> stands for a whole command.</summary>
    public Values Refused { get; set; } = [];

    /// <summary>The highest observation processed; what is not above it is late or doubled.</summary>
    public long Obs { get; set; }

    /// <summary>The whole command in flight, as sent, or null.</summary>
    public SentCommand? Sent { get; set; }

    /// <summary>Revision of the last command answered "done".</summary>
    public long Reached { get; set; }

    /// <summary>When the adapter forgot the customer.</summary>
    public DateTimeOffset? ErasedAt { get; set; }

    /// <summary>A new life in this system: the next object is another one, and older reports and objects are dropped.</summary>
    public void BeginLife(string? ext)
    {
        Gen++;
        Ext = ext;
        Linked = ext is not null;
        IdOnObject = false;
        Gone = false;
        Brake = null;
        Sent = null;
        ErasedAt = null;
        Base.Clear();
        At.Clear();
        Refused.Clear();
    }

    /// <summary>
    /// The key of <see cref="Refused"/> for a command that was refused without a field being named. It carries the
    /// revision that was refused, so any change of golden asks again.
    /// </summary>
    public const string WholeCommand = "*";
}

/// <summary>Why a system is not asked for a deletion.</summary>
static class BrakeReasons
{
    /// <summary>The deletion brake was closed when somebody deleted the object; an operator decides.</summary>
    public const string Held = "held";

    /// <summary>The object stays by configuration, or because an operator said so. Counts as gone.</summary>
    public const string Kept = "kept";

    /// <summary>A person took the object out of the recycle bin after the customer was removed. Counts as gone.</summary>
    public const string Undeleted = "undeleted";

    /// <summary>The product created a removed id again. Counts as gone; the new record is left alone.</summary>
    public const string Recreated = "recreated";

    /// <summary>The vendor, or the rule of that system, refused the deletion; the reason follows.</summary>
    public const string RefusedPrefix = "refused: ";

    public static bool IsRefusal(string? brake) =>
        brake is not null && brake.StartsWith(RefusedPrefix, StringComparison.Ordinal);
}

/// <summary>
/// A command in flight, whole. A revision number would not be enough: golden keeps no history, so neither a repeat nor the
/// meaning of an answer can be rebuilt from it.
/// </summary>
sealed class SentCommand
{
    public Guid Id { get; set; }
    public int Gen { get; set; }
    public long Rev { get; set; }
    public Operation Op { get; set; }
    public string? Ext { get; set; }
    public Values Write { get; set; } = [];
    public Values Expect { get; set; } = [];
    public int Attempt { get; set; } = 1;

    /// <summary>When it is sent again, unchanged, in case a message was lost.</summary>
    public DateTimeOffset DueAt { get; set; }

    /// <summary>When the oldest change it carries happened in the system it came from; for the latency.</summary>
    public DateTimeOffset? ChangedAt { get; set; }

    public object ToMessage(string customerId, string system)
    {
        if (system != SystemNames.Product)
            return new PushCustomer
            {
                CommandId = Id,
                System = system,
                CustomerId = customerId,
                Generation = Gen,
                Operation = Op,
                ExternalId = Ext,
                Revision = Rev,
                Write = Write.ToWire(),
                Expect = Expect.ToWire(),
            };

        return Op switch
        {
            Operation.Create => new CreateCustomer
            {
                CommandId = Id,
                CustomerId = customerId,
                Revision = Rev,
                Write = Write.ToWire(),
            },
            Operation.Update => new UpdateCustomer
            {
                CommandId = Id,
                CustomerId = customerId,
                Revision = Rev,
                Write = Write.ToWire(),
                Expect = Expect.ToWire(),
            },
            Operation.Delete => new DeleteCustomer
            {
                CommandId = Id,
                CustomerId = customerId,
                Revision = Rev,
            },
            _ => throw new InvalidOperationException($"the product has no operation {Op}"),
        };
    }

    [JsonIgnore]
    public bool Writes => Op is Operation.Create or Operation.Update;
}
