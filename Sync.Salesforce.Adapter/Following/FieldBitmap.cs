using System.Globalization;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>
/// Which fields an event speaks of. Salesforce writes them as a list of bitmaps in hexadecimal digits, the least
/// significant bit first: <c>0x…</c> for the event's own fields, where bit 0 is the header, and <c>4-0x…</c> for parts of
/// the compound field with index 4, also alone. What cannot be understood makes the whole list unclear, and the record is
/// looked at instead.
/// </summary>
sealed class FieldBitmap
{
    /// <summary>Digits of one bitmap: thousands of fields more than an object may have.</summary>
    const int MaxDigits = 4_096;

    readonly HashSet<(string Field, string? Part)> _fields = [];

    /// <summary>Whether every bitmap was understood.</summary>
    public bool Clear { get; private set; } = true;

    public bool IsEmpty => Clear && _fields.Count == 0;

    public bool Has(EventPath path) =>
        _fields.Contains((path.Field, path.Part)) || _fields.Contains((path.Field, null));

    public static FieldBitmap Read(IReadOnlyList<string> bitmaps, EventSchema schema)
    {
        var read = new FieldBitmap();
        var top = false;
        HashSet<int> compounds = [];
        foreach (var bitmap in bitmaps)
        {
            var dash = bitmap.IndexOf('-', StringComparison.Ordinal);
            if (Bits(bitmap[(dash + 1)..]) is not { } bits)
            {
                read.Clear = false;
            }
            else if (dash < 0)
            {
                // Twice would be two answers to one question.
                read.Clear &= !top;
                top = true;
                foreach (var bit in bits)
                    read.Add(bit, schema);
            }
            else if (
                int.TryParse(bitmap.AsSpan(0, dash), NumberStyles.None, CultureInfo.InvariantCulture, out var compound)
                && compound < schema.Fields
                && schema.PartsOf(compound) is { } parts
                && compounds.Add(compound)
            )
            {
                foreach (var bit in bits)
                {
                    if (bit < parts.Count)
                        read._fields.Add((schema.NameOf(compound), parts[bit]));
                    else
                        read.Clear = false;
                }
            }
            else
            {
                read.Clear = false;
            }
        }

        // Whole and in parts at once: which of the two is meant is not documented.
        if (compounds.Any(compound => read._fields.Contains((schema.NameOf(compound), null))))
            read.Clear = false;
        return read;
    }

    void Add(int bit, EventSchema schema)
    {
        if (bit == 0 || bit >= schema.Fields)
            Clear = false;
        else
            _fields.Add((schema.NameOf(bit), null));
    }

    /// <summary>Null when it is no bitmap.</summary>
    static List<int>? Bits(string text)
    {
        if (!text.StartsWith("0x", StringComparison.Ordinal) || text.Length is < 3 or > MaxDigits)
            return null;
        List<int> bits = [];
        for (var i = text.Length - 1; i >= 2; i--)
        {
            if (!char.IsAsciiHexDigit(text[i]))
                return null;
            var digit = Convert.ToInt32(text[i].ToString(), 16);
            for (var bit = 0; bit < 4; bit++)
            {
                if ((digit >> bit & 1) == 1)
                    bits.Add(((text.Length - 1 - i) * 4) + bit);
            }
        }

        return bits;
    }
}
