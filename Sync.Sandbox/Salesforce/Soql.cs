using System.Globalization;
using System.Text;

namespace Sync.Sandbox.Salesforce;

/// <summary>
/// <c>SELECT fields FROM Account [WHERE …] [ORDER BY …] [LIMIT n]</c>, and nothing else: what this does not know, and
/// what is badly escaped, is refused as the real one refuses it.
/// </summary>
sealed class Soql
{
    /// <summary>Salesforce's own limit for a statement.</summary>
    public const int MaxLength = 100_000;

    const int MaxDepth = 20;

    static readonly HashSet<string> Reserved = new(StringComparer.OrdinalIgnoreCase)
    {
        "AND",
        "ASC",
        "BY",
        "DESC",
        "FROM",
        "IN",
        "LIMIT",
        "NOT",
        "NULL",
        "OR",
        "ORDER",
        "SELECT",
        "WHERE",
    };

    readonly string _text;
    readonly AccountFields _fields;
    Func<Account, bool> _where = static _ => true;
    readonly List<(AccountField Field, bool Descending)> _order = [];
    List<Token> _tokens = [];
    int _at;
    int _depth;

    Soql(string text, AccountFields fields) => (_text, _fields) = (text, fields);

    public IReadOnlyList<AccountField> Fields { get; private set; } = [];

    public int? Limit { get; private set; }

    public bool Matches(Account account) => _where(account);

    public IEnumerable<Account> Sort(IEnumerable<Account> accounts)
    {
        if (_order.Count == 0)
            return accounts;
        IOrderedEnumerable<Account>? sorted = null;
        foreach (var (field, descending) in _order)
        {
            // The order in which < compares: a page that goes on behind an id relies on it.
            var key = (Account account) => account.Get(field);
            var order = Comparer<object?>.Create((a, b) => Compare(field, a, b));
            sorted = (sorted, descending) switch
            {
                (null, false) => accounts.OrderBy(key, order),
                (null, true) => accounts.OrderByDescending(key, order),
                (_, false) => sorted.ThenBy(key, order),
                (_, true) => sorted.ThenByDescending(key, order),
            };
        }

        return sorted!;
    }

    /// <exception cref="SalesforceProblem">Not a query of this grammar.</exception>
    public static Soql Parse(string text, AccountFields fields)
    {
        if (text.Length > MaxLength)
            throw Malformed($"SOQL statements cannot be longer than {MaxLength} characters.");
        var query = new Soql(text, fields);
        query._tokens = query.Split();
        query.Read();
        return query;
    }

    void Read()
    {
        Expect("SELECT");
        var fields = new List<AccountField>();
        do
        {
            var field = Field();
            if (fields.Contains(field))
                throw Malformed($"duplicate field selected: {field.Name}");
            fields.Add(field);
        } while (TrySign(","));
        Fields = fields;

        Expect("FROM");
        var entity = Word();
        if (!entity.Equals("Account", StringComparison.OrdinalIgnoreCase))
            throw new SalesforceProblem(400, "INVALID_TYPE", $"sObject type '{entity}' is not supported.");
        if (TryWord("WHERE"))
            _where = Any();
        if (TryWord("ORDER"))
        {
            Expect("BY");
            do
            {
                var field = Field();
                var descending = TryWord("DESC");
                if (!descending)
                    TryWord("ASC");
                _order.Add((field, descending));
            } while (TrySign(","));
        }

        if (TryWord("LIMIT"))
        {
            var token = Next();
            if (
                token.Kind != TokenKind.Number
                || !int.TryParse(token.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit)
            )
                throw Unexpected(token);
            Limit = limit;
        }

        if (_at < _tokens.Count)
            throw Unexpected(_tokens[_at]);
    }

    /// <summary>AND and OR on one level need parentheses, as in the real one.</summary>
    Func<Account, bool> Any()
    {
        if (++_depth > MaxDepth)
            throw Malformed("nested too deep");
        var terms = new List<Func<Account, bool>> { One() };
        string? joint = null;
        while (TryWord("AND", "OR") is { } word)
        {
            if ((joint ??= word) != word)
                throw Malformed($"unexpected token: {word}");
            terms.Add(One());
        }

        _depth--;
        return terms.Count == 1 ? terms[0]
            : joint == "AND" ? account => terms.TrueForAll(term => term(account))
            : account => terms.Exists(term => term(account));
    }

    Func<Account, bool> One()
    {
        if (TrySign("("))
        {
            var inner = Any();
            ExpectSign(")");
            return inner;
        }

        if (TryWord("NOT"))
        {
            // One after the other is as deep on the stack as one in the other.
            if (++_depth > MaxDepth)
                throw Malformed("nested too deep");
            var inner = One();
            _depth--;
            return account => !inner(account);
        }

        var field = Field();
        if (TryWord("IN"))
            return In(field);
        if (TryWord("NOT"))
        {
            Expect("IN");
            var inner = In(field);
            return account => !inner(account);
        }

        var sign = Next();
        if (sign.Kind != TokenKind.Sign || sign.Text is not ("=" or "!=" or "<>" or "<" or ">" or "<=" or ">="))
            throw Unexpected(sign);
        var wanted = Literal(field);
        if (sign.Text is "=")
            return account => Same(field, account.Get(field), wanted);
        if (sign.Text is "!=" or "<>")
            return account => !Same(field, account.Get(field), wanted);
        if (wanted is null || field.Type == "boolean")
            throw Malformed($"invalid operator on {field.Name}");
        return account =>
            account.Get(field) is { } value
            && Compare(field, value, wanted) is var order
            && sign.Text switch
            {
                "<" => order < 0,
                ">" => order > 0,
                "<=" => order <= 0,
                _ => order >= 0,
            };
    }

    Func<Account, bool> In(AccountField field)
    {
        ExpectSign("(");
        var values = new HashSet<object>();
        var orNull = false;
        do
        {
            if (Literal(field) is { } value)
                values.Add(Key(field, value));
            else
                orNull = true;
        } while (TrySign(","));
        ExpectSign(")");
        return account => account.Get(field) is { } value ? values.Contains(Key(field, value)) : orNull;
    }

    static bool Same(AccountField field, object? a, object? b) =>
        a is null || b is null ? a is null && b is null : Key(field, a).Equals(Key(field, b));

    /// <summary>Text is compared without case, but for an external id that is case-sensitive.</summary>
    static object Key(AccountField field, object value) =>
        value is string text && field is { IsText: true, ExternalId: false } ? text.ToUpperInvariant() : value;

    static int Compare(AccountField field, object? a, object? b) =>
        a is null || b is null ? (a is null ? 0 : 1) - (b is null ? 0 : 1)
        : a is string left && b is string right
            ? string.CompareOrdinal((string)Key(field, left), (string)Key(field, right))
        : ((IComparable)a).CompareTo(b);

    object? Literal(AccountField field)
    {
        var token = Next();
        switch (token.Kind)
        {
            case TokenKind.Word when Is(token, "null"):
                return null;
            case TokenKind.Text when field.Type is "id" or "reference":
                return SalesforceId.Normalise(token.Text)
                    ?? throw new SalesforceProblem(
                        400,
                        "INVALID_QUERY_FILTER_OPERATOR",
                        $"invalid ID field: {token.Text}"
                    );
            case TokenKind.Text when field.IsText:
                return token.Text.Length == 0 ? null : token.Text;
            case TokenKind.Time when field.Type == "datetime":
                return DateTimeOffset.Parse(token.Text, CultureInfo.InvariantCulture, DateTimeStyles.None);
            case TokenKind.Word when field.Type == "boolean" && Is(token, "true"):
                return true;
            case TokenKind.Word when field.Type == "boolean" && Is(token, "false"):
                return false;
            case TokenKind.Sign or TokenKind.Word:
                throw Unexpected(token);
            default:
                throw new SalesforceProblem(
                    400,
                    "INVALID_FIELD",
                    $"value of filter criterion for field '{field.Name}' must be of type {field.Type}"
                        + (field.IsText ? " and should be enclosed in quotes" : "")
                );
        }
    }

    AccountField Field()
    {
        var name = Word();
        return _fields.Find(name)
            ?? throw new SalesforceProblem(
                400,
                "INVALID_FIELD",
                $"No such column '{name}' on entity 'Account'. If you are attempting to use a custom field, be sure to "
                    + "append the '__c' after the custom field name."
            );
    }

    string Word()
    {
        var token = Next();
        return token.Kind == TokenKind.Word && !Reserved.Contains(token.Text) ? token.Text : throw Unexpected(token);
    }

    void Expect(string word)
    {
        var token = Next();
        if (token.Kind != TokenKind.Word || !Is(token, word))
            throw Unexpected(token);
    }

    void ExpectSign(string sign)
    {
        if (!TrySign(sign))
            throw _at < _tokens.Count ? Unexpected(_tokens[_at]) : Malformed("unexpected end of the query");
    }

    bool TryWord(string word) => TryWord([word]) is not null;

    string? TryWord(params ReadOnlySpan<string> words)
    {
        if (_at >= _tokens.Count || _tokens[_at].Kind != TokenKind.Word)
            return null;
        foreach (var word in words)
        {
            if (!Is(_tokens[_at], word))
                continue;
            _at++;
            return word;
        }

        return null;
    }

    bool TrySign(string sign)
    {
        if (_at >= _tokens.Count || _tokens[_at].Kind != TokenKind.Sign || _tokens[_at].Text != sign)
            return false;
        _at++;
        return true;
    }

    Token Next() => _at < _tokens.Count ? _tokens[_at++] : throw Malformed("unexpected end of the query");

    static bool Is(Token token, string word) => token.Text.Equals(word, StringComparison.OrdinalIgnoreCase);

    SalesforceProblem Unexpected(Token token) =>
        Malformed($"{_text}\nERROR at Row:1:Column:{token.At + 1}\nunexpected token: '{token.Text}'");

    static SalesforceProblem Malformed(string message) => new(400, "MALFORMED_QUERY", message);

    List<Token> Split()
    {
        var tokens = new List<Token>();
        for (var i = 0; i < _text.Length; )
        {
            var c = _text[i];
            if (char.IsWhiteSpace(c))
            {
                i++;
            }
            else if (c == '\'')
            {
                var begin = i;
                tokens.Add(new(TokenKind.Text, Quoted(ref i), begin));
            }
            else if (char.IsAsciiLetter(c))
            {
                var begin = i;
                while (i < _text.Length && (char.IsAsciiLetterOrDigit(_text[i]) || _text[i] is '_' or '.'))
                    i++;
                tokens.Add(new(TokenKind.Word, _text[begin..i], begin));
            }
            else if (char.IsAsciiDigit(c))
            {
                var begin = i;
                while (
                    i < _text.Length && (char.IsAsciiLetterOrDigit(_text[i]) || _text[i] is '-' or '+' or ':' or '.')
                )
                    i++;
                var text = _text[begin..i];
                var isTime =
                    text.Contains('T', StringComparison.Ordinal)
                    && (
                        text.EndsWith('Z')
                        || text.LastIndexOfAny(['+', '-']) > text.IndexOf('T', StringComparison.Ordinal)
                    )
                    && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out _);
                if (!isTime && !text.All(char.IsAsciiDigit))
                    throw Malformed($"unexpected token: '{text}'");
                tokens.Add(new(isTime ? TokenKind.Time : TokenKind.Number, text, begin));
            }
            else
            {
                var sign = _text.AsSpan(i) is ['!' or '<', '=' or '>', ..] or ['>', '=', ..]
                    ? _text.Substring(i, 2)
                    : $"{c}";
                if (sign is not ("," or "(" or ")" or "=" or "!=" or "<>" or "<" or ">" or "<=" or ">="))
                    throw Malformed($"unexpected character at column {i + 1}");
                tokens.Add(new(TokenKind.Sign, sign, i));
                i += sign.Length;
            }
        }

        return tokens;
    }

    string Quoted(ref int i)
    {
        var text = new StringBuilder();
        for (i++; i < _text.Length; i++)
        {
            if (_text[i] == '\'')
            {
                i++;
                return text.ToString();
            }

            if (_text[i] != '\\')
            {
                text.Append(_text[i]);
                continue;
            }

            if (++i >= _text.Length)
                break;
            text.Append(
                _text[i] switch
                {
                    'n' or 'N' => '\n',
                    'r' or 'R' => '\r',
                    't' or 'T' => '\t',
                    'b' or 'B' => '\b',
                    'f' or 'F' => '\f',
                    '"' => '"',
                    '\'' => '\'',
                    '\\' => '\\',
                    'u' when Unicode(i, out var code) => code,
                    _ => throw Malformed($"Illegal escape sequence at column {i}: '\\{_text[i]}'"),
                }
            );
            if (_text[i] == 'u')
                i += 4;
        }

        throw Malformed("unexpected end of the query: a text is not closed");
    }

    bool Unicode(int at, out char code)
    {
        code = default;
        if (
            at + 4 >= _text.Length
            || !ushort.TryParse(
                _text.AsSpan(at + 1, 4),
                NumberStyles.AllowHexSpecifier,
                CultureInfo.InvariantCulture,
                out var value
            )
        )
            return false;
        code = (char)value;
        return true;
    }

    enum TokenKind
    {
        Word,
        Text,
        Number,
        Time,
        Sign,
    }

    readonly record struct Token(TokenKind Kind, string Text, int At);
}
