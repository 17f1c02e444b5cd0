using Sync.Adapter.Hosting;
using Sync.Contracts;
using Sync.Stripe.Adapter;
using Sync.Stripe.Adapter.Storage;
using Sync.Stripe.Adapter.Webhooks;

if (WebhookRegistration.IsVerb(args))
{
    using var host = AdapterHost
        .CreateBuilder<StripeDb>([], SystemNames.Stripe, services => services.AddStripe())
        .Build();
    return await WebhookRegistration.Run(args, host.Services, Console.Out, Console.Error);
}

return await AdapterHost.Run<StripeDb>(args, SystemNames.Stripe, services => services.AddStripe());
