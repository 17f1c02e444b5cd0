using System.Text.Json.Serialization.Metadata;

namespace Sync.Messaging.Wire;

/// <summary>One kind of message: its CloudEvents type, its JSON, and how a message of it is addressed and judged.</summary>
/// <param name="Name">The CloudEvents <c>type</c>.</param>
/// <param name="Problem">What is wrong with a decoded message, without its values; null when nothing is.</param>
public sealed record MessageKind(
    string Name,
    JsonTypeInfo Json,
    Func<object, string> Topic,
    Func<object, string> Key,
    Func<object, long?> Sequence,
    Func<object, string?> Problem
)
{
    public Type Type => Json.Type;
}

/// <summary>The messages that a process knows. What is not in it is dead-lettered as <c>unknown-type</c>.</summary>
public sealed class MessageCatalog
{
    readonly Dictionary<string, MessageKind> _byName = new(StringComparer.Ordinal);
    readonly Dictionary<Type, MessageKind> _byType = [];

    public IReadOnlyCollection<MessageKind> Kinds => _byName.Values;

    /// <exception cref="ArgumentException">The name or the type is in the catalog already.</exception>
    public MessageCatalog Add(MessageKind kind)
    {
        _byName.Add(kind.Name, kind);
        _byType.Add(kind.Type, kind);
        return this;
    }

    public MessageKind? Find(string name) => _byName.GetValueOrDefault(name);

    /// <exception cref="InvalidOperationException">The type has no kind.</exception>
    public MessageKind Get(Type type) =>
        _byType.GetValueOrDefault(type)
        ?? throw new InvalidOperationException($"{type.Name} is not in the message catalog; add its kind at start");
}
