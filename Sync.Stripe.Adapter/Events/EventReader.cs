using System.Globalization;
using System.Text.Json;
using Stripe;
using Sync.Adapter.Links;
using Sync.Contracts;

namespace Sync.Stripe.Adapter.Events;

/// <summary>
/// Reads an event as Stripe sends it to an endpoint and lists it, with the few members that matter. Nothing of it is taken
/// for the state of a customer; it says whom to look at, and spares the look when it says nothing new. So whatever is not
/// quite as expected, such as another API version, is a look and no error.
/// </summary>
sealed class EventReader(StripeMapping mapping, string environment)
{
    const int MaxIdLength = 255;

    /// <summary>Thin events begin their types with the API's generation.</summary>
    const string ThinPrefix = "v1.";

    static readonly JsonDocumentOptions Json = new() { MaxDepth = 64 };

    readonly string _updateKey = $"csync:{environment}:upd:";
    readonly string _createKey = $"csync:{environment}:create:";

    public StripeEvent Read(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body, Json);
            return Read(document.RootElement);
        }
        catch (JsonException)
        {
            return new StripeEvent.Unreadable("the body is no JSON, or not UTF-8, or cut off");
        }
    }

    public StripeEvent Read(JsonElement root)
    {
        try
        {
            if (root.ValueKind != JsonValueKind.Object)
                return new StripeEvent.Unreadable("the body is no JSON object");
            if (Text(root, "id") is not { } id || !IsId(id))
                return new StripeEvent.Unreadable("id: is missing or no id");
            if (Text(root, "type") is not { } type)
                return new StripeEvent.Unreadable("type: is missing");
            return Text(root, "object") switch
            {
                "event" => Snapshot(root, id, type),
                "v2.core.event" => Thin(root, id, type),
                _ => new StripeEvent.Unreadable("object: is no event"),
            };
        }
        catch (InvalidOperationException)
        {
            // A text of lone surrogates cannot be read as text.
            return new StripeEvent.Unreadable("a text is not well-formed");
        }
    }

    /// <summary>
    /// The customer that an event tells of, as far as the body can be read at all: one that is cut off behind the id is still
    /// somebody's, and goes with whoever is erased. Null when it names none.
    /// </summary>
    public static string? CustomerOf(ReadOnlySpan<byte> body)
    {
        var json = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = Json.MaxDepth });
        ReadOnlySpan<string> path = ["data", "object", "id"];
        try
        {
            if (!json.Read())
                return null;
            foreach (var member in path)
            {
                if (!MoveTo(ref json, member))
                    return null;
            }

            return
                json.TokenType == JsonTokenType.String
                && json.GetString() is { } id
                && IsId(id)
                && id.StartsWith("cus_", StringComparison.Ordinal)
                ? id
                : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>From the begin of an object to the value of one of its members.</summary>
    static bool MoveTo(ref Utf8JsonReader json, string member)
    {
        if (json.TokenType != JsonTokenType.StartObject)
            return false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var found = json.ValueTextEquals(member);
            if (!json.Read())
                return false;
            if (found)
                return true;
            json.Skip();
        }

        return false;
    }

    StripeEvent Snapshot(JsonElement root, string id, string type)
    {
        // An event with an account tells of a connected account, whose customers are not ours.
        if (!StripeEvent.Types.Contains(type) || Text(root, "account") is not null)
            return new StripeEvent.Ignored();
        if (
            !root.TryGetProperty("created", out var at)
            || at.ValueKind != JsonValueKind.Number
            || !at.TryGetInt64(out var seconds)
            || seconds is < 0 or > 253_402_300_799
        )
            return new StripeEvent.Unreadable("created: is missing or no time");
        if (
            !root.TryGetProperty("data", out var data)
            || data.ValueKind != JsonValueKind.Object
            || !data.TryGetProperty("object", out var customer)
            || customer.ValueKind != JsonValueKind.Object
            || Text(customer, "id") is not { } externalId
            || !IsId(externalId)
        )
            return new StripeEvent.Unreadable("data.object.id: is missing or no id");

        var created = DateTimeOffset.FromUnixTimeSeconds(seconds);
        if (type == "customer.deleted")
            return Told(new() { ExternalId = externalId, Kind = HintKind.Deleted });

        var fields =
            Text(root, "api_version") is { } version && EventUtility.IsCompatibleApiVersion(version)
                ? mapping.FieldsOf(customer)
                : null;
        if (fields is null)
            return Told(new() { ExternalId = externalId, Kind = HintKind.Look });

        var previous =
            type == "customer.updated"
            && data.TryGetProperty("previous_attributes", out var attributes)
            && attributes.ValueKind == JsonValueKind.Object
                ? attributes
                : default(JsonElement?);
        return Told(
            new()
            {
                ExternalId = externalId,
                Kind =
                    type == "customer.created" ? HintKind.Created
                    // That our id was taken off or changed stands in no mapped field.
                    : previous is { } old
                    && StripeMapping.CustomerIdOf(old) is { } was
                    && StripeMapping.CustomerIdOf(customer) != was
                        ? HintKind.Look
                    : HintKind.Updated,
                CustomerId = StripeMapping.CustomerIdOf(customer),
                Fields = fields,
                Previous = previous is { } p ? mapping.PreviousOf(p) : null,
                CommandId = CommandOf(root, customer, previous),
            }
        );

        StripeEvent Told(Hint hint) => new StripeEvent.Told(id, created, hint);
    }

    /// <summary>A thin event names its object and says nothing of it.</summary>
    static StripeEvent Thin(JsonElement root, string id, string type)
    {
        if (
            !type.StartsWith(ThinPrefix, StringComparison.Ordinal)
            || !StripeEvent.Types.Contains(type[ThinPrefix.Length..])
            || Text(root, "context") is not null
        )
            return new StripeEvent.Ignored();
        if (
            !root.TryGetProperty("related_object", out var related)
            || related.ValueKind != JsonValueKind.Object
            || Text(related, "id") is not { } externalId
            || !IsId(externalId)
        )
            return new StripeEvent.Unreadable("related_object.id: is missing or no id");
        if (
            !DateTimeOffset.TryParse(
                Text(root, "created"),
                CultureInfo.InvariantCulture,
                DateTimeStyles.AssumeUniversal,
                out var created
            )
        )
            return new StripeEvent.Unreadable("created: is missing or no time");
        return new StripeEvent.Told(id, created, new() { ExternalId = externalId, Kind = HintKind.Look });
    }

    /// <summary>
    /// The command of ours that made the change: by the idempotency key of its request, or because the change is that of the
    /// stamp itself. A stamp that was there before proves nothing: it stays when a person edits.
    /// </summary>
    Guid? CommandOf(JsonElement root, JsonElement customer, JsonElement? previous)
    {
        var key =
            root.TryGetProperty("request", out var request) && request.ValueKind == JsonValueKind.Object
                ? Text(request, "idempotency_key")
                : null;
        if (key is not null && key.StartsWith(_updateKey, StringComparison.Ordinal))
        {
            var rest = key.AsSpan(_updateKey.Length);
            var numbered = rest.IndexOf(':');
            return Guid.TryParse(numbered < 0 ? rest : rest[..numbered], out var command) ? command : null;
        }

        var stamped =
            key?.StartsWith(_createKey, StringComparison.Ordinal) == true
            || (
                previous is { } p
                && p.TryGetProperty("metadata", out var metadata)
                && metadata.ValueKind == JsonValueKind.Object
                && metadata.TryGetProperty(StripeMapping.StampKey, out _)
            );
        return stamped ? StripeMapping.StampOf(customer) : null;
    }

    internal static string? Text(JsonElement element, string member) =>
        element.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    internal static bool IsId(string id) =>
        id.Length is > 0 and <= MaxIdLength && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');
}
