using System.Collections;

namespace Sync.Tests.Support;

/// <summary>What other threads go on adding to while a test looks: an enumeration sees one moment.</summary>
public sealed class ConcurrentCollection<T> : ICollection<T>
{
    readonly Lock _lock = new();
    readonly List<T> _items = [];

    public int Count => Snapshot().Length;

    public bool IsReadOnly => false;

    public T[] Snapshot()
    {
        lock (_lock)
            return [.. _items];
    }

    public void Add(T item)
    {
        lock (_lock)
            _items.Add(item);
    }

    public void Clear()
    {
        lock (_lock)
            _items.Clear();
    }

    public bool Remove(T item)
    {
        lock (_lock)
            return _items.Remove(item);
    }

    public bool Contains(T item) => Snapshot().Contains(item);

    public void CopyTo(T[] array, int arrayIndex) => Snapshot().CopyTo(array, arrayIndex);

    public IEnumerator<T> GetEnumerator() => ((IEnumerable<T>)Snapshot()).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
