using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sync.Sandbox.Hosting;

/// <summary>What a server answers, kept as bytes so that it can be repeated word for word.</summary>
sealed record Answer(int Status, byte[] Body, string? ContentType = null)
{
    static readonly JsonSerializerOptions Raw = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    public static Answer Empty(int status) => new(status, []);

    public static Answer Json(int status, JsonNode body, string contentType = "application/json") =>
        new(status, JsonSerializer.SerializeToUtf8Bytes(body, Raw), contentType);

    public Answer With(string name, string value) => this with { Headers = [.. Headers, new(name, value)] };

    public async Task Write(HttpContext http)
    {
        http.Response.StatusCode = Status;
        foreach (var (name, value) in Headers)
            http.Response.Headers[name] = value;
        if (ContentType is not null)
            http.Response.ContentType = ContentType;
        if (Status is StatusCodes.Status204NoContent or StatusCodes.Status304NotModified)
            return;
        http.Response.ContentLength = Body.Length;
        await http.Response.Body.WriteAsync(Body, http.RequestAborted);
    }
}
