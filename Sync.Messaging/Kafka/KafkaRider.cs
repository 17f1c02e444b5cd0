using MassTransit;
using MassTransit.Configuration;
using MassTransit.DependencyInjection;
using MassTransit.Observables;
using MassTransit.Transports;

namespace Sync.Messaging.Kafka;

/// <summary>The Kafka rider, as MassTransit sees it.</summary>
public interface IKafkaRider : IRiderControl;

public static class KafkaRiderRegistration
{
    /// <summary>Adds the Kafka rider. Where Kafka is, and how to reach it, comes from <see cref="KafkaOptions"/>.</summary>
    public static void UsingKafka(
        this IRiderRegistrationConfigurator configurator,
        Action<IRiderRegistrationContext, KafkaFactoryConfigurator> configure
    ) => configurator.SetRiderFactory(new RiderFactory(configure));

    sealed class RiderFactory(Action<IRiderRegistrationContext, KafkaFactoryConfigurator> configure)
        : IRegistrationRiderFactory<IKafkaRider>
    {
        public IBusInstanceSpecification CreateRider(IRiderRegistrationContext context)
        {
            var factory = new KafkaFactoryConfigurator(context);
            configure(context, factory);
            return new Specification(factory);
        }
    }

    sealed class Specification(KafkaFactoryConfigurator factory) : IBusInstanceSpecification
    {
        public void Configure(IBusInstance busInstance)
        {
            // A behaviour that asks the container for the bus must hear the same as one that asks its context.
            busInstance.Bus.ConnectPublishObserver(RefusingEndpoints.Instance);
            busInstance.Bus.ConnectSendObserver(RefusingEndpoints.Instance);
            busInstance.Connect<IKafkaRider>(factory.Build(busInstance));
        }

        public IEnumerable<ValidationResult> Validate() => factory.Validate();
    }
}

/// <summary>Where endpoints are declared.</summary>
public sealed class KafkaFactoryConfigurator : IRiderFactoryConfigurator, ISpecification
{
    readonly IRiderRegistrationContext _context;
    readonly ReceiveEndpointObservable _observers = new();
    readonly List<(string Group, string[] Topics, Action<TopicEndpointConfigurator> Configure)> _endpoints = [];

    internal KafkaFactoryConfigurator(IRiderRegistrationContext context) => _context = context;

    /// <summary>
    /// One consumer loop of one group over several topics, so that what speaks of one key meets in one place and in one
    /// transaction. The one departure from the official signature.
    /// </summary>
    public void TopicEndpoint(string group, IEnumerable<string> topics, Action<TopicEndpointConfigurator> configure) =>
        _endpoints.Add((group, [.. topics], configure));

    public ConnectHandle ConnectReceiveEndpointObserver(IReceiveEndpointObserver observer) =>
        _observers.Connect(observer);

    public IEnumerable<ValidationResult> Validate()
    {
        foreach (var (group, topics, _) in _endpoints)
        {
            if (string.IsNullOrWhiteSpace(group))
                yield return this.Failure("TopicEndpoint", "needs a consumer group");
            if (topics.Length == 0 || topics.Any(string.IsNullOrWhiteSpace))
                yield return this.Failure("TopicEndpoint", $"of group {group} needs the names of its topics");
        }
    }

    internal KafkaRider Build(IBusInstance bus)
    {
        var endpoints = new ReceiveEndpointCollection();
        foreach (var (group, topics, configure) in _endpoints)
        {
            var name = $"kafka/{group}";
            var endpoint = new TopicEndpointConfigurator(
                bus,
                bus.HostConfiguration.CreateReceiveEndpointConfiguration(name),
                _context,
                group,
                topics
            );
            endpoint.ConnectReceiveEndpointObserver(_observers);
            configure(endpoint);
            endpoint
                .Validate()
                .ThrowIfContainsFailure($"The Kafka endpoint of group {group} is not configured rightly:");
            endpoints.Add(name, endpoint.Build());
        }

        return new KafkaRider(endpoints);
    }
}

sealed class KafkaRider(ReceiveEndpointCollection endpoints) : IKafkaRider
{
    public RiderHandle Start(CancellationToken cancellationToken = default) =>
        new Handle(endpoints, endpoints.StartEndpoints(cancellationToken));

    public IEnumerable<EndpointHealthResult> CheckEndpointHealth() => endpoints.CheckEndpointHealth();

    sealed class Handle(ReceiveEndpointCollection endpoints, HostReceiveEndpointHandle[] handles) : RiderHandle
    {
        public Task Ready => Task.WhenAll(handles.Select(h => h.Ready));

        public Task StopAsync(CancellationToken cancellationToken) => endpoints.StopEndpoints(cancellationToken);
    }
}
