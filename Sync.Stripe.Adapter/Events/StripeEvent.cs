using Sync.Adapter.Links;
using Sync.Contracts;

namespace Sync.Stripe.Adapter.Events;

/// <summary>What an event of Stripe's comes to.</summary>
abstract record StripeEvent
{
    /// <summary>Of hints: the event's own id, so that webhook and list tell of one change.</summary>
    static readonly Guid Namespace = new("7c0a4a0e-3f4c-4b0b-9a55-8c1a3de1b6a7");

    /// <summary>The types that are of interest, as snapshots.</summary>
    public static readonly IReadOnlyList<string> Types = ["customer.created", "customer.updated", "customer.deleted"];

    /// <summary>Look at a customer.</summary>
    /// <param name="Created">By Stripe's clock, in whole seconds.</param>
    public sealed record Told(string Id, DateTimeOffset Created, Hint Hint) : StripeEvent
    {
        public Guid HintId => CustomerIds.Version5(Namespace, Id);
    }

    /// <summary>Of another type, or of another account.</summary>
    public sealed record Ignored : StripeEvent;

    /// <param name="Reason">In words without values.</param>
    public sealed record Unreadable(string Reason) : StripeEvent
    {
        /// <summary>Of what is lost with it. Not that of its hint: a later version of the reader may understand it yet.</summary>
        public static Guid LostId(string eventId) => CustomerIds.Version5(Namespace, $"unreadable\n{eventId}");
    }
}
