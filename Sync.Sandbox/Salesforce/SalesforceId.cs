namespace Sync.Sandbox.Salesforce;

/// <summary>Record ids: 15 characters where case counts, or 18 with a check on case.</summary>
static class SalesforceId
{
    const string Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const string Checks = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

    /// <summary>The id of the record with this number, in its form of 18.</summary>
    public static string Make(string prefix, long number)
    {
        Span<char> id = stackalloc char[15];
        id.Fill('0');
        prefix.CopyTo(id);
        "Sb".CopyTo(id[3..]);
        for (var i = 14; number > 0; i--, number /= Digits.Length)
            id[i] = Digits[(int)(number % Digits.Length)];
        return Long(id);
    }

    /// <summary>The id with its three check characters; null when it is no id.</summary>
    public static string? Normalise(string id)
    {
        if (id.Length is not (15 or 18) || !id.All(char.IsAsciiLetterOrDigit))
            return null;
        var full = Long(id.AsSpan(0, 15));
        return id.Length == 15 || full.Equals(id, StringComparison.Ordinal) ? full : null;
    }

    public static string Short(string id) => id[..15];

    static string Long(ReadOnlySpan<char> id)
    {
        Span<char> full = stackalloc char[18];
        id.CopyTo(full);
        for (var chunk = 0; chunk < 3; chunk++)
        {
            var bits = 0;
            for (var i = 0; i < 5; i++)
            {
                if (char.IsAsciiLetterUpper(id[(chunk * 5) + i]))
                    bits |= 1 << i;
            }

            full[15 + chunk] = Checks[bits];
        }

        return full.ToString();
    }
}
