using Microsoft.Extensions.Options;
using Stripe;
using Sync.Adapter.Vendors;
using Sync.Messaging.Hosting;
using Sync.Stripe.Adapter.Client;
using Sync.Stripe.Adapter.Events;

namespace Sync.Stripe.Adapter.Webhooks;

/// <summary>
/// <c>webhooks register --url &lt;address&gt;</c>: makes the account's webhook endpoint what this adapter needs, and makes a
/// new one only where there is none for it: an endpoint that is made anew at every deployment loses events. Its secret is
/// told by Stripe once, and printed once, to the person who asked.
/// </summary>
static class WebhookRegistration
{
    const int MaxPages = 20;

    /// <summary>Whether these are the words of this verb.</summary>
    public static bool IsVerb(string[] args) => args is ["webhooks", ..];

    public static async Task<int> Run(string[] args, IServiceProvider services, TextWriter output, TextWriter errors)
    {
        if (args is not ["webhooks", "register", "--url", var url] || Problem(url) is not null)
        {
            var problem = args is [_, _, "--url", var given] ? Problem(given) : null;
            await errors.WriteLineAsync(
                $"{(problem is null ? "" : $"--url: {problem}; ")}usage: webhooks register --url https://<host>{WebhookDoor.Path}"
            );
            return SyncProcess.Refused;
        }

        try
        {
            var api = services.GetRequiredService<StripeApi>();
            return await Register(api, url, output, errors);
        }
        catch (OptionsValidationException e)
        {
            foreach (var fault in e.Failures)
                await errors.WriteLineAsync(fault);
            return SyncProcess.Refused;
        }
    }

    internal static async Task<int> Register(StripeApi api, string url, TextWriter output, TextWriter errors)
    {
        var (endpoints, failure) = await Endpoints(api, url);
        if (failure is not null)
            return await Failed(failure, errors);

        var version = StripeConfiguration.ApiVersion;
        if (endpoints.Find(e => e.ApiVersion == version) is { } ours)
        {
            var answer = await api.UpdateWebhookEndpoint(
                ours.Id,
                new() { EnabledEvents = [.. StripeEvent.Types], Disabled = false },
                CancellationToken.None
            );
            if (answer.Error is { } refused)
                return await Failed(refused, errors);
            await output.WriteLineAsync(
                $"{ours.Id}: is there with API version {version}, and enabled for {string.Join(", ", StripeEvent.Types)}. "
                    + "Stripe tells its secret in the Dashboard only."
            );
            return SyncProcess.Succeeded;
        }

        var created = await api.CreateWebhookEndpoint(
            new()
            {
                Url = url,
                ApiVersion = version,
                EnabledEvents = [.. StripeEvent.Types],
                Description = "Sync: customers",
            },
            CancellationToken.None
        );
        if (created.Error is { } error)
            return await Failed(error, errors);
        await output.WriteLineAsync(
            $"{created.Value!.Id}: made, with API version {version}. Its secret, told only now:"
        );
        await output.WriteLineAsync($"STRIPE__WEBHOOKSECRETS={created.Value.Secret}");
        foreach (var older in endpoints)
            await output.WriteLineAsync(
                $"{older.Id}: has the same address and API version {older.ApiVersion ?? "of the account"}. "
                    + "Keep its secret in STRIPE__WEBHOOKSECRETS too until the new one is set everywhere, then delete it in the Dashboard."
            );
        return SyncProcess.Succeeded;
    }

    static async Task<(List<WebhookEndpoint> Endpoints, VendorResult? Failure)> Endpoints(StripeApi api, string url)
    {
        List<WebhookEndpoint> endpoints = [];
        WebhookEndpointListOptions query = new() { Limit = 100 };
        for (var page = 0; page < MaxPages; page++)
        {
            var answer = await api.ListWebhookEndpoints(query, CancellationToken.None);
            if (answer.Error is { } error)
                return ([], error);
            endpoints.AddRange(answer.Value!.Data.Where(e => e.Url == url));
            if (!answer.Value.HasMore || answer.Value.Data.Count == 0)
                break;
            query.StartingAfter = answer.Value.Data[^1].Id;
        }

        return (endpoints, null);
    }

    static async Task<int> Failed(VendorResult error, TextWriter errors)
    {
        var failure = StripeErrors.AsFailure(error);
        await errors.WriteLineAsync($"Stripe: {failure.Code}: {failure.Reason}");
        return SyncProcess.FailedUnexpectedly;
    }

    /// <summary>What is wrong with an address; null when nothing is.</summary>
    static string? Problem(string url) =>
        !Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("https" or "http")
            ? "is no address"
        : address.Scheme == "http" && !address.IsLoopback ? "must be https: Stripe calls nothing else"
        : address.AbsolutePath != WebhookDoor.Path ? $"must end in {WebhookDoor.Path}, the only path that is served"
        : address.UserInfo.Length > 0 ? "must have no user"
        : null;
}
