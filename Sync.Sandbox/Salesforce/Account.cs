using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Sync.Sandbox.Salesforce;

/// <summary>One record. A deleted one stays, in the recycle bin.</summary>
sealed class Account(string id, string createdBy, DateTimeOffset created)
{
    public string Id => id;
    public string CreatedBy { get; } = createdBy;
    public DateTimeOffset Created { get; } = created;
    public Dictionary<string, string> Values { get; private init; } = new(StringComparer.Ordinal);
    public string ModifiedBy { get; set; } = createdBy;
    public DateTimeOffset Modified { get; set; } = created;
    public bool IsDeleted { get; set; }

    /// <summary>The record that this one was merged into.</summary>
    public string? MasterRecordId { get; set; }

    /// <summary>Rises with every write, also one that changes no value.</summary>
    public long Version { get; set; } = 1;

    /// <summary>The strong entity tag that the real one gives to Accounts and to nothing else.</summary>
    public string ETag
    {
        get
        {
            Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
            SHA256.HashData(
                Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Id}:{Version}")),
                hash
            );
            return $"\"{Convert.ToBase64String(hash[..20])}\"";
        }
    }

    public Account Copy() =>
        new(Id, CreatedBy, Created)
        {
            Values = new Dictionary<string, string>(Values, StringComparer.Ordinal),
            ModifiedBy = ModifiedBy,
            Modified = Modified,
            IsDeleted = IsDeleted,
            MasterRecordId = MasterRecordId,
            Version = Version,
        };

    public object? Get(AccountField field) =>
        field.Name switch
        {
            "Id" => Id,
            "IsDeleted" => IsDeleted,
            "MasterRecordId" => MasterRecordId,
            "CreatedDate" => Created,
            "CreatedById" => CreatedBy,
            "LastModifiedDate" or "SystemModstamp" => Modified,
            "LastModifiedById" => ModifiedBy,
            _ => Values.GetValueOrDefault(field.Name),
        };

    public JsonObject ToJson(string version, IEnumerable<AccountField> fields)
    {
        var json = new JsonObject
        {
            ["attributes"] = new JsonObject
            {
                ["type"] = "Account",
                ["url"] = $"/services/data/{version}/sobjects/Account/{Id}",
            },
        };
        foreach (var field in fields)
        {
            json[field.Name] = Get(field) switch
            {
                null => null,
                bool flag => flag,
                DateTimeOffset time => Date(time),
                var text => (string)text,
            };
        }

        return json;
    }

    public static string Date(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fff", CultureInfo.InvariantCulture) + "+0000";
}
