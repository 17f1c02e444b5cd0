using System.Text.Json.Nodes;
using Sync.Sandbox.Hosting;

namespace Sync.Sandbox.Stripe;

/// <summary>An answer in Stripe's error envelope.</summary>
sealed class StripeProblem(int status, string type, string? code, string message, string? param = null)
    : Exception(message)
{
    public int Status => status;

    public static StripeProblem Invalid(string message, string? param, string? code = null) =>
        new(400, "invalid_request_error", code, message, param);

    public static StripeProblem Unknown(string param) =>
        Invalid($"Received unknown parameter: {param}", param, "parameter_unknown");

    /// <param name="inPath">An id in the path is a 404; one in a parameter is a 400.</param>
    public static StripeProblem NoSuchCustomer(string id, string param, bool inPath) =>
        new(inPath ? 404 : 400, "invalid_request_error", "resource_missing", $"No such customer: '{id}'", param);

    public static StripeProblem NotPlayed(string what) =>
        Invalid($"The sandbox does not play {what}; the real Stripe may", what);

    public Answer ToAnswer()
    {
        var error = new JsonObject();
        if (code is not null)
        {
            error["code"] = code;
            error["doc_url"] = $"https://stripe.com/docs/error-codes/{code.Replace('_', '-')}";
        }

        error["message"] = Message;
        if (param is not null)
            error["param"] = param;
        error["type"] = type;
        return Answer.Json(status, new JsonObject { ["error"] = error });
    }
}
