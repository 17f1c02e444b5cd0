using System.Text;

namespace Sync.Sandbox.Stripe;

/// <summary>
/// Stripe's search language, as far as whole values go: <c>metadata['k']:'v' AND email:'v'</c>. A quote in a value is
/// escaped by a backslash; AND and OR are not mixed.
/// </summary>
static class CustomerSearch
{
    const int MaxLength = 5_000;

    /// <exception cref="StripeProblem">Not a query of this grammar.</exception>
    public static Func<StripeCustomer, bool> Parse(string query)
    {
        if (query.Length > MaxLength)
            throw Invalid($"the query is longer than {MaxLength} characters");
        var clauses = new List<Func<StripeCustomer, bool>>();
        string? joint = null;
        for (var at = 0; ; )
        {
            Skip(query, ref at);
            clauses.Add(Clause(query, ref at));
            Skip(query, ref at);
            if (at == query.Length)
                break;
            var word = Word(query, ref at);
            if (word is not ("AND" or "OR") || (joint ??= word) != word)
                throw Invalid("clauses are joined by AND, or by OR, but not by both");
        }

        return customer =>
            joint == "OR" ? clauses.Exists(clause => clause(customer)) : clauses.TrueForAll(clause => clause(customer));
    }

    static Func<StripeCustomer, bool> Clause(string query, ref int at)
    {
        var field = Word(query, ref at);
        string? key = null;
        if (field == "metadata")
        {
            Sign(query, ref at, '[');
            key = Quoted(query, ref at);
            Sign(query, ref at, ']');
        }

        Sign(query, ref at, ':');
        var wanted = Quoted(query, ref at);
        Func<StripeCustomer, string?> value = field switch
        {
            "metadata" => customer => customer.Metadata.GetValueOrDefault(key!),
            "email" => customer => customer.Email,
            "name" => customer => customer.Name,
            "phone" => customer => customer.Phone,
            _ => throw Invalid("the sandbox searches metadata, email, name and phone"),
        };
        return customer => string.Equals(value(customer), wanted, StringComparison.OrdinalIgnoreCase);
    }

    static void Skip(string query, ref int at)
    {
        while (at < query.Length && query[at] == ' ')
            at++;
    }

    static string Word(string query, ref int at)
    {
        var begin = at;
        while (at < query.Length && (char.IsAsciiLetter(query[at]) || query[at] == '_'))
            at++;
        return at > begin ? query[begin..at] : throw Invalid($"a word is missing at {begin + 1}");
    }

    static void Sign(string query, ref int at, char sign)
    {
        if (at >= query.Length || query[at] != sign)
            throw Invalid($"{sign} is missing at {at + 1}");
        at++;
    }

    static string Quoted(string query, ref int at)
    {
        if (at >= query.Length || query[at] is not ('\'' or '"'))
            throw Invalid($"a quote is missing at {at + 1}");
        var quote = query[at++];
        var text = new StringBuilder();
        for (; at < query.Length; at++)
        {
            if (query[at] == quote)
            {
                at++;
                return text.ToString();
            }

            if (query[at] == '\\' && ++at == query.Length)
                break;
            text.Append(query[at]);
        }

        throw Invalid("a quote is not closed");
    }

    static StripeProblem Invalid(string what) =>
        StripeProblem.Invalid($"We were unable to parse your search query: {what}.", "query");
}
