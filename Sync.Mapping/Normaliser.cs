using System.Security.Cryptography;
using System.Text;
using PhoneNumbers;
using Sync.Contracts.Customers;

namespace Sync.Mapping;

/// <summary>
/// When two values are the same one. E-mail: trimmed, lower case; phone: E.164 where it parses; all others: trimmed, NFC.
/// Empty text is absent.
/// </summary>
public static class Normaliser
{
    /// <summary>The value as golden keeps it: NFC, and null for empty text. Nothing else is changed.</summary>
    public static string? Clean(string? value)
    {
        if (string.IsNullOrEmpty(value))
            return null;
        return IsNfc(value) ? value : value.Normalize(NormalizationForm.FormC);
    }

    /// <summary>The value by which two are compared.</summary>
    public static string? Key(string path, string? value)
    {
        var text = Clean(value)?.Trim();
        if (string.IsNullOrEmpty(text))
            return null;

        return path switch
        {
            Paths.Email => text.ToLowerInvariant(),
            Paths.Phone => E164(text) ?? text,
            _ => text,
        };
    }

    /// <summary>A hash by which one person is looked for, so that a search needs no e-mail outside the record; null without one.</summary>
    public static byte[]? EmailKey(string? email) =>
        Key(Paths.Email, email) is { } key ? SHA256.HashData(Encoding.UTF8.GetBytes("sync:email:" + key)) : null;

    /// <summary>What the system stores when the value is written, as far as its mapping declares.</summary>
    public static string? Stored(FieldMap field, string? value)
    {
        var text = Clean(value);
        foreach (var form in field.Form)
        {
            if (text is null)
                return null;
            text = form switch
            {
                Form.Trim => text.Trim(),
                Form.Lower => text.ToLowerInvariant(),
                Form.Upper => text.ToUpperInvariant(),
                Form.Digits => new string([.. text.Where(char.IsAsciiDigit)]),
                Form.E164 => E164(text) ?? text,
                Form.Cut => Cut(text, field.Max!.Value),
                _ => throw new ArgumentOutOfRangeException(nameof(field), form, "unknown form"),
            };
        }

        return Clean(text);
    }

    /// <summary>Whether <paramref name="held"/> is what a system holds once <paramref name="golden"/> was written to it.</summary>
    public static bool Same(FieldMap field, string? golden, string? held)
    {
        if (golden == held)
            return true;
        // Twice, since a chain of forms need not be stable: cut after digits, say, may read as another number.
        var stored = Key(field.Path, Stored(field, golden));
        return stored == Key(field.Path, held) || stored == Key(field.Path, Stored(field, held));
    }

    /// <summary>Whether two values are equal for the field, whichever system holds them.</summary>
    public static bool Equal(string path, string? a, string? b) => a == b || Key(path, a) == Key(path, b);

    static bool IsNfc(string text)
    {
        foreach (var c in text)
        {
            if (c > 0x7F)
                return text.IsNormalized(NormalizationForm.FormC);
        }

        return true;
    }

    static string Cut(string text, int max)
    {
        if (text.Length <= max)
            return text;
        var end = char.IsHighSurrogate(text[max - 1]) ? max - 1 : max;
        return text[..end];
    }

    static string? E164(string text)
    {
        // Without a leading plus a number has no country, and guessing one would join two people.
        if (!text.StartsWith('+') || text.Length > 64)
            return null;
        try
        {
            var phones = PhoneNumberUtil.GetInstance();
            var number = phones.Parse(text, null);
            return number.HasExtension ? null : phones.Format(number, PhoneNumberFormat.E164);
        }
        catch (NumberParseException)
        {
            return null;
        }
    }
}
