using System.Net;

namespace Sync.Adapter.Vendors;

/// <summary>What every vendor's HTTP client has in common: one way to connect, and one reading of what went wrong below HTTP.</summary>
public static class Transport
{
    /// <summary>
    /// Connections are renewed now and then, so that a moved address is followed. Redirects are not: a vendor's API has
    /// none, so one means a wrong address, and credentials would travel along. Cookies would carry a session around ours.
    /// </summary>
    public static SocketsHttpHandler Handler(int maxConnections) =>
        new()
        {
            ConnectTimeout = TimeSpan.FromSeconds(10),
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(50),
            MaxConnectionsPerServer = maxConnections,
            AutomaticDecompression = DecompressionMethods.GZip,
            AllowAutoRedirect = false,
            UseCookies = false,
        };

    /// <summary>What an exception that is no answer of the vendor means. Never its message: that may hold values.</summary>
    public static VendorResult.Failed Failed(Exception exception, bool writes) =>
        exception switch
        {
            HttpRequestException
            {
                HttpRequestError: HttpRequestError.NameResolutionError
                    or HttpRequestError.ConnectionError
                    or HttpRequestError.SecureConnectionError
                    or HttpRequestError.ProxyTunnelError
            } never => new(
                FailureClass.Retry,
                "unreachable",
                $"no connection to the vendor ({never.HttpRequestError}); nothing was sent",
                Definite: true
            ),
            HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } => new(
                FailureClass.Retry,
                "answer_too_large",
                "the vendor's answer is larger than the bound",
                Definite: !writes
            ),
            HttpRequestException cut => new(
                FailureClass.Retry,
                "connection_lost",
                $"the connection was lost before the answer came ({cut.HttpRequestError})",
                Definite: !writes
            ),
            OperationCanceledException => new(
                FailureClass.Retry,
                "timeout",
                "the vendor did not answer in time",
                Definite: !writes
            ),
            IOException => new(
                FailureClass.Retry,
                "connection_lost",
                "the connection was lost before the answer was complete",
                Definite: !writes
            ),
            _ => new(
                FailureClass.Retry,
                "unexpected_answer",
                $"the vendor's answer could not be read ({exception.GetType().Name})",
                Definite: !writes
            ),
        };
}

/// <summary>Reads answers whole, up to a bound, so that the client's timeout covers the body too.</summary>
public sealed class BoundedBodies(int maxBytes, HttpMessageHandler inner) : DelegatingHandler(inner)
{
    protected override async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request,
        CancellationToken cancellationToken
    )
    {
        var response = await base.SendAsync(request, cancellationToken);
        try
        {
            await response.Content.LoadIntoBufferAsync(maxBytes, cancellationToken);
            return response;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }
}
