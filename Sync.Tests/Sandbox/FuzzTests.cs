using System.Text;
using CsCheck;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stripe;
using Sync.Tests.Support;

namespace Sync.Tests.Sandbox;

/// <summary>The stand-ins read what anybody sends: each text is taken or refused in the vendor's own way.</summary>
public sealed class FuzzTests
{
    static readonly Gen<string> Word = AnyJson.Of(
        "SELECT",
        "Id",
        "Name",
        "Phone",
        "IsDeleted",
        "SystemModstamp",
        "Product_Customer_Id__c",
        "FROM",
        "Account",
        "WHERE",
        "AND",
        "OR",
        "NOT",
        "IN",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        ">=",
        "'a'",
        "'a\\'b'",
        "'\\",
        "'",
        "null",
        "true",
        "2026-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "12",
        "-1",
        "99999999999999999999",
        "ORDER",
        "BY",
        "DESC",
        "LIMIT",
        ";",
        "--",
        "\\u0000"
    );

    [Fact]
    public void A_query_is_read_or_refused_as_Salesforce_refuses_it()
    {
        var words = Word.Array[0, 40].Select(all => string.Join(' ', all));
        var almost = Word.Array[0, 12].Select(all => $"SELECT Id FROM Account WHERE {string.Join(' ', all)}");
        var account = new Account("001000000000001AAA", SalesforceOrg.HumanUser, DateTimeOffset.UnixEpoch);
        account.Values["Name"] = "Ada";
        Gen.Frequency((1, Gen.String[0, 200]), (2, words), (4, almost))
            .Sample(
                text =>
                {
                    try
                    {
                        var query = Soql.Parse(text, new AccountFields());
                        query.Matches(account);
                        return query.Sort([account]).Count() == 1;
                    }
                    catch (SalesforceProblem problem)
                    {
                        return problem.Code.Length > 0;
                    }
                },
                iter: 20_000
            );
    }

    [Theory]
    [InlineData("NOT ")]
    [InlineData("(")]
    [InlineData("NOT (")]
    [InlineData("(NOT ")]
    public void A_query_without_end_is_refused_for_its_depth(string part)
    {
        var text = "SELECT Id FROM Account WHERE " + string.Concat(Enumerable.Repeat(part, 90_000 / part.Length));

        var problem = Assert.Throws<SalesforceProblem>(() => Soql.Parse(text, new AccountFields()));

        Assert.Equal(
            ("MALFORMED_QUERY", true),
            (problem.Code, problem.Message.Contains("too deep", StringComparison.Ordinal))
        );
    }

    [Fact]
    public void A_form_is_read_or_refused_as_Stripe_refuses_it()
    {
        var name = AnyJson.Of(
            "name",
            "metadata[tier]",
            "metadata[customer_id]",
            "address[line1]",
            "address",
            "expand[]",
            "a[b][c][d][e][f][g]",
            "[",
            "]",
            "a[",
            "a]b",
            "%",
            "%zz",
            "%ff",
            "+",
            ""
        );
        var value = Gen.OneOf(
            Gen.String[0, 10].Select(Uri.EscapeDataString),
            AnyJson.Of("", "%", "%e2%82", "+", "=", "x")
        );
        var pairs = Gen.Select(name, value)
            .Select((n, v) => $"{n}={v}")
            .Array[0, 12]
            .Select(all => string.Join('&', all));
        Gen.Frequency((1, Gen.String[0, 100]), (4, pairs))
            .Sample(
                text =>
                {
                    try
                    {
                        return StripeForm.Parse(text).Fingerprint.Length > 0;
                    }
                    catch (StripeProblem)
                    {
                        return true;
                    }
                },
                iter: 20_000
            );
    }
}
