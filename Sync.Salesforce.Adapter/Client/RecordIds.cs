namespace Sync.Salesforce.Adapter.Client;

/// <summary>
/// A record id has 15 characters where case counts, or 18 with a checksum of the case. Both name the same record, so ids are
/// kept and compared with 18.
/// </summary>
static class RecordIds
{
    const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

    /// <summary>Anything that is no id of 15 characters is left as it is.</summary>
    public static string To18(string id)
    {
        if (!IsId(id) || id.Length != 15)
            return id;

        return string.Create(
            18,
            id,
            static (text, id) =>
            {
                id.CopyTo(text);
                for (var chunk = 0; chunk < 3; chunk++)
                {
                    var upper = 0;
                    for (var i = 0; i < 5; i++)
                    {
                        if (char.IsAsciiLetterUpper(id[(chunk * 5) + i]))
                            upper |= 1 << i;
                    }

                    text[15 + chunk] = Alphabet[upper];
                }
            }
        );
    }

    public static bool Same(string a, string b) => string.Equals(To18(a), To18(b), StringComparison.Ordinal);

    /// <summary>An id whose checksum, where it has one, is right.</summary>
    public static bool IsWhole(string id) => IsId(id) && To18(id[..15]) == To18(id);

    public static bool IsId(string? id) => id is { Length: 15 or 18 } && id.All(char.IsAsciiLetterOrDigit);
}
