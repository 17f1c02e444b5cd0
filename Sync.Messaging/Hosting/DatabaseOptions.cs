using System.ComponentModel.DataAnnotations;
using Npgsql;

namespace Sync.Messaging.Hosting;

/// <summary>Where the process keeps its state.</summary>
public sealed class DatabaseOptions : IValidatableObject
{
    public const string Section = "Database";

    /// <summary>An Npgsql connection string, or a URL such as <c>postgresql://user:secret@host:5432/database</c>.</summary>
    [Required(ErrorMessage = "is missing; give an Npgsql connection string or a postgresql:// URL")]
    public string Url { get; init; } = "";

    /// <summary>Brings the schema up to date before anything else starts, as the verb <c>migrate</c> does.</summary>
    public bool MigrateAtStart { get; init; }

    /// <summary>
    /// Connections go through a pooler in transaction mode, such as PgBouncer: no statement is prepared by itself, and no
    /// session setting is sent.
    /// </summary>
    public bool Pooler { get; init; }

    /// <summary>Consuming pauses while the database is larger than this; 0 does not look.</summary>
    [Range(0, long.MaxValue, ErrorMessage = "must be 0 or more")]
    public long SizeLimitMb { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Url.Length == 0)
            yield break;
        if (Problem() is { } problem)
            yield return new(problem, [nameof(Url)]);
    }

    /// <summary>The connection string with what Sync relies on: no values in errors, no parameters in logs.</summary>
    public NpgsqlConnectionStringBuilder Connection(string applicationName)
    {
        var connection = DatabaseUrl.Parse(Url);
        connection.ApplicationName ??= applicationName;
        connection.IncludeErrorDetail = false;
        connection.LogParameters = false;
        if (Pooler)
        {
            // A statement prepared on one server connection is not there on the next.
            connection.MaxAutoPrepare = 0;
            connection.NoResetOnClose = true;
            return connection;
        }

        // No session has a state of its own that the next user of a connection would have to be kept from, so nothing is
        // thrown away between two: DISCARD ALL, hundreds a second, made PostgreSQL plan every statement and every function
        // anew, which took a third of its processor time. A few dozen statements are all that a process has.
        connection.NoResetOnClose = true;
        if (connection.MaxAutoPrepare == 0)
            (connection.MaxAutoPrepare, connection.AutoPrepareMinUsages) = (200, 2);
        // A transaction that a frozen process left open must end well before the outbox stops looking for late ids (60 s).
        connection.Options ??= "-c idle_in_transaction_session_timeout=30000";
        return connection;
    }

    string? Problem()
    {
        try
        {
            var connection = DatabaseUrl.Parse(Url);
            if (string.IsNullOrEmpty(connection.Host))
                return "names no host";
            return string.IsNullOrEmpty(connection.Database) ? "names no database" : null;
        }
        catch (Exception e) when (e is ArgumentException or FormatException or UriFormatException)
        {
            // The text of the error would repeat a part of the value, which holds a password.
            return "is neither an Npgsql connection string nor a postgresql:// URL";
        }
    }
}

/// <summary>Reads both ways to write a database's address.</summary>
static class DatabaseUrl
{
    public static NpgsqlConnectionStringBuilder Parse(string text)
    {
        if (
            !text.StartsWith("postgresql://", StringComparison.OrdinalIgnoreCase)
            && !text.StartsWith("postgres://", StringComparison.OrdinalIgnoreCase)
        )
        {
            return new(text);
        }

        var url = new Uri(text);
        var connection = new NpgsqlConnectionStringBuilder
        {
            Host = url.Host,
            Port = url.IsDefaultPort || url.Port < 0 ? 5432 : url.Port,
            Database = Uri.UnescapeDataString(url.AbsolutePath.TrimStart('/')),
        };
        var user = url.UserInfo.Split(':', 2);
        if (user[0].Length > 0)
            connection.Username = Uri.UnescapeDataString(user[0]);
        if (user.Length > 1)
            connection.Password = Uri.UnescapeDataString(user[1]);
        foreach (var pair in url.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var (name, value) = pair.Split('=', 2) is [var n, var v] ? (n, Uri.UnescapeDataString(v)) : (pair, "");
            connection[Keyword(name)] = name == "sslmode" ? value.Replace("-", "", StringComparison.Ordinal) : value;
        }

        return connection;
    }

    /// <summary>libpq's names that Npgsql spells otherwise; every other is Npgsql's own.</summary>
    static string Keyword(string name) =>
        name switch
        {
            "sslmode" => "SSL Mode",
            "sslrootcert" => "Root Certificate",
            "sslcert" => "SSL Certificate",
            "sslkey" => "SSL Key",
            "application_name" => "Application Name",
            "connect_timeout" => "Timeout",
            "options" => "Options",
            _ => Uri.UnescapeDataString(name),
        };
}
