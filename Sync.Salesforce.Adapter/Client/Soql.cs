namespace Sync.Salesforce.Adapter.Client;

/// <summary>SOQL has no parameters: text goes in as a literal, escaped here and nowhere else.</summary>
static class Soql
{
    public static string Literal(string text) =>
        $"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal)}'";
}
