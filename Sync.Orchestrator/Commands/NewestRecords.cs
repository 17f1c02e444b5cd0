namespace Sync.Orchestrator.Commands;

/// <param name="Deleted">What the record says of its customer.</param>
readonly record struct NewestRecord(long Revision, bool Deleted, int Partition, long Offset);

/// <summary>
/// The newest record of each customer of a topic, so many customers at a time: whoever reads it through notes every record, and
/// while there is a <see cref="Next"/> share of the customers reads it through once more. A share that becomes too large is
/// halved by a bit of the customers' ids, which are hashes, and its other half is left for later. So memory has a bound,
/// however many customers a topic tells of, and every customer is in exactly one share.
/// </summary>
/// <param name="most">Customers at a time.</param>
sealed class NewestRecords(int most)
{
    /// <summary>More halvings would ask for bits that are not there.</summary>
    const int MaxHalvings = 31;

    readonly Dictionary<Guid, NewestRecord> _newest = [];
    readonly Stack<(int Bits, uint Share)> _left = [];
    int _bits;
    uint _share;

    /// <summary>By correlation id; those of this share, once every record was noted.</summary>
    public IReadOnlyDictionary<Guid, NewestRecord> Customers => _newest;

    public void Note(Guid customer, NewestRecord record)
    {
        if (!IsOfShare(customer) || (_newest.TryGetValue(customer, out var known) && known.Revision >= record.Revision))
            return;
        _newest[customer] = record;
        while (_newest.Count > most && _bits < MaxHalvings)
        {
            _left.Push((_bits + 1, _share | (1u << _bits)));
            _bits++;
            foreach (var other in _newest.Keys.Where(c => !IsOfShare(c)).ToList())
                _newest.Remove(other);
        }
    }

    /// <summary>Goes on to the next share; every record has to be noted again. False when there is none.</summary>
    public bool Next()
    {
        if (!_left.TryPop(out var next))
            return false;
        (_bits, _share) = next;
        _newest.Clear();
        return true;
    }

    bool IsOfShare(Guid customer) => (Hash(customer) & ((1u << _bits) - 1)) == _share;

    static uint Hash(Guid customer)
    {
        Span<byte> bytes = stackalloc byte[16];
        customer.TryWriteBytes(bytes);
        return BitConverter.ToUInt32(bytes);
    }
}
