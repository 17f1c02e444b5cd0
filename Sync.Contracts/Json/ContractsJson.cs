using System.Text.Json;
using System.Text.Json.Serialization;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;

namespace Sync.Contracts.Json;

/// <summary>
/// JSON of the wire: camelCase, absent optional members left out, numbers never as text, duplicate names refused, unknown
/// members ignored, depth at most 32.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.Strict,
    AllowDuplicateProperties = false,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    MaxDepth = 32
)]
[JsonSerializable(typeof(CustomerCreated))]
[JsonSerializable(typeof(CustomerUpdated))]
[JsonSerializable(typeof(CustomerDeleted))]
[JsonSerializable(typeof(CustomerExists))]
[JsonSerializable(typeof(CreateCustomer))]
[JsonSerializable(typeof(UpdateCustomer))]
[JsonSerializable(typeof(DeleteCustomer))]
[JsonSerializable(typeof(PushCustomer))]
[JsonSerializable(typeof(CustomerReported))]
[JsonSerializable(typeof(ObjectFound))]
[JsonSerializable(typeof(ObjectDuplicated))]
[JsonSerializable(typeof(FeedGapReported))]
[JsonSerializable(typeof(LinkObject))]
[JsonSerializable(typeof(ObjectLinked))]
[JsonSerializable(typeof(ObjectParked))]
[JsonSerializable(typeof(RelinkObject))]
[JsonSerializable(typeof(Due))]
[JsonSerializable(typeof(ObjectDue))]
[JsonSerializable(typeof(Retry))]
[JsonSerializable(typeof(TakeSide))]
[JsonSerializable(typeof(Release))]
[JsonSerializable(typeof(Ignore))]
[JsonSerializable(typeof(Resync))]
[JsonSerializable(typeof(Erase))]
[JsonSerializable(typeof(ReleaseLoop))]
[JsonSerializable(typeof(AllowRecreate))]
[JsonSerializable(typeof(LinkTo))]
[JsonSerializable(typeof(RetryObject))]
[JsonSerializable(typeof(IgnoreObject))]
[JsonSerializable(typeof(ForgetObject))]
[JsonSerializable(typeof(ReadObject))]
[JsonSerializable(typeof(RequestScan))]
[JsonSerializable(typeof(ObjectsListed))]
[JsonSerializable(typeof(Compare))]
[JsonSerializable(typeof(ApplyFindings))]
public sealed partial class ContractsJson : JsonSerializerContext;
