using Sync.Sandbox.Hosting;

namespace Sync.Sandbox.Faults;

/// <summary>How a vendor words what goes wrong on demand.</summary>
interface IVendorVoice
{
    Answer RateLimited(string operation, bool header);
    Answer Broken();
    Answer Unavailable();
    Answer WrongCredentials(string operation);
}

/// <summary>What a fault does to an execution from inside.</summary>
/// <param name="Before">Awaited once the execution has begun, before its effect.</param>
/// <param name="Break">Answer 500 although the effect happened.</param>
/// <param name="Lock">Another transaction holds the record: refuse without an effect.</param>
sealed record Disturbance(Func<Task> Before, bool Break = false, bool Lock = false)
{
    public static readonly Disturbance None = new(static () => Task.CompletedTask);
}

/// <summary>The one way in for a vendor's calls: counts them, lets a fault hit them, and answers.</summary>
sealed class VendorDoor(string vendor, FaultBook faults, CallBook calls, IVendorVoice voice, ILogger log)
{
    /// <summary>An answer is withheld no longer than this, should a caller never give up.</summary>
    static readonly TimeSpan MaxHang = TimeSpan.FromMinutes(10);

    const string HtmlPage =
        "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";

    const string SignInPage =
        "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in to this network</h1></body></html>";

    public async Task Serve(HttpContext http, string operation, Func<Disturbance, Task<Answer>> execute)
    {
        calls.Arrived(vendor, operation);
        var fault = faults.Pick(vendor, operation);
        Answer? answer;
        try
        {
            answer = await Answered(http, operation, fault, execute);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            answer = null;
        }
#pragma warning disable CA1031 // A bug of ours looks to the caller like a vendor's own; it is in the log.
        catch (Exception bug)
#pragma warning restore CA1031
        {
            log.Failed(bug, vendor, http.Request.Method, operation);
            answer = voice.Broken();
        }

        calls.Answered(vendor, answer?.Status ?? 0);
        if (answer is null)
        {
            http.Abort();
            return;
        }

        try
        {
            await answer.Write(http);
        }
        catch (OperationCanceledException) { }
    }

    async Task<Answer?> Answered(
        HttpContext http,
        string operation,
        Fault? fault,
        Func<Disturbance, Task<Answer>> execute
    )
    {
        switch (fault?.Kind)
        {
            case null:
                return await execute(Disturbance.None);
            case FaultKind.RateLimit:
                return voice.RateLimited(operation, fault.Header);
            case FaultKind.LockTimeout:
                return await execute(Disturbance.None with { Lock = true });
            case FaultKind.ErrorBefore:
                return voice.Broken();
            case FaultKind.Unavailable:
                return voice.Unavailable();
            case FaultKind.Credentials:
                return voice.WrongCredentials(operation);
            case FaultKind.Html:
                return new Answer(
                    StatusCodes.Status502BadGateway,
                    System.Text.Encoding.UTF8.GetBytes(HtmlPage),
                    "text/html"
                );
            case FaultKind.Nonsense:
                return new Answer(StatusCodes.Status200OK, System.Text.Encoding.UTF8.GetBytes(SignInPage), "text/html");
            case FaultKind.ErrorAfter:
                return await execute(Disturbance.None with { Break = true });
            case FaultKind.DropAfter:
                await execute(Disturbance.None);
                return null;
            case FaultKind.HangAfter:
                await execute(Disturbance.None);
                await CallerGone(http);
                return null;
            case FaultKind.Late:
                await execute(Disturbance.None with { Before = () => CallerGone(http) });
                return null;
            case FaultKind.Slow:
                return await execute(
                    Disturbance.None with
                    {
                        Before = () => Task.Delay(fault.Delay, TimeProvider.System, CancellationToken.None),
                    }
                );
            default:
                throw new InvalidOperationException($"fault {fault.Kind} is not one of a call");
        }
    }

    static async Task CallerGone(HttpContext http)
    {
        try
        {
            await Task.Delay(MaxHang, TimeProvider.System, http.RequestAborted);
        }
        catch (OperationCanceledException) { }
    }
}
