using Sync.Adapter.Hosting;
using Sync.Contracts;
using Sync.Stripe.Adapter;
using Sync.Stripe.Adapter.Storage;

return await AdapterHost.Run<StripeDb>(args, SystemNames.Stripe, services => services.AddStripe());
