using System.Text.Json.Nodes;
using Sync.Sandbox.Hosting;

namespace Sync.Sandbox.Salesforce;

/// <summary>One error, as a whole answer (an array with <c>errorCode</c>) or in a collection's result (<c>statusCode</c>).</summary>
sealed class SalesforceProblem(int status, string code, string message, params string[] fields) : Exception(message)
{
    public string Code => code;

    public static SalesforceProblem NotFound() => new(404, "NOT_FOUND", "The requested resource does not exist");

    public static SalesforceProblem Deleted() => new(404, "ENTITY_IS_DELETED", "entity is deleted");

    public static SalesforceProblem Json(string what) => new(400, "JSON_PARSER_ERROR", what);

    public static SalesforceProblem NoSuchColumn(string name) =>
        new(400, "INVALID_FIELD", $"No such column '{name}' on sobject of type Account");

    public static SalesforceProblem NotPlayed(string what) =>
        new(400, "FUNCTIONALITY_NOT_ENABLED", $"The sandbox does not play {what}; the real Salesforce may");

    public Answer ToAnswer()
    {
        var error = new JsonObject { ["message"] = Message, ["errorCode"] = code };
        if (fields.Length > 0)
            error["fields"] = Names();
        return Answer.Json(status, new JsonArray(error), SalesforceApi.JsonType);
    }

    public JsonObject ToResult() =>
        new()
        {
            ["success"] = false,
            ["errors"] = new JsonArray(
                new JsonObject
                {
                    ["statusCode"] = code,
                    ["message"] = Message,
                    ["fields"] = Names(),
                }
            ),
        };

    JsonArray Names() => new([.. fields.Select(field => (JsonNode)field)]);
}
