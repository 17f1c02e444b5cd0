using System.Security.Authentication;
using Grpc.Core;
using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter.Following;

namespace Sync.Tests.Adapters.Salesforce;

public sealed class StreamErrorsTests
{
    public static TheoryData<string, string> Codes =>
        new()
        {
            { "service.unavailable", "Retry" },
            { "subscription.internal.error", "Retry" },
            { "topic.api.unavailable", "Retry" },
            { "schema.api.unavailable", "Retry" },
            { "service.protection.triggered", "SlowDown" },
            { "service.protection.stream.limit.triggered", "SlowDown" },
            { "service.auth.error", "SignIn" },
            { "service.auth.headers.invalid", "Pause" },
            { "service.auth.refresh.invalid", "Pause" },
            { "service.tenant.license", "Pause" },
            { "concurrent.client.limit.exceeded", "Pause" },
            { "topic.not.found", "Pause" },
            { "topic.meta.permission", "Pause" },
            { "topic.validation.empty", "Pause" },
            { "schema.meta.permission", "Pause" },
            { "schema.validation.failed", "Retry" },
            { "subscription.topic.cannot.subscribe", "Pause" },
            { "subscription.fetch.replayid.corrupted", "BeginAgain" },
            { "subscription.fetch.replayid.validation.failed", "BeginAgain" },
            { "subscription.fetch.replay.repeated", "Retry" },
            { "subscription.fetch.requested.events.invalid", "Pause" },
            { "subscription.fetch.topic.mismatch", "Retry" },
            { "subscription.fetch.overflow", "SlowDown" },
            { "subscription.fetch.request.invalid", "Retry" },
            { "subscription.limit.exceeded", "Wait" },
            { "managed.subscription.already.active", "Pause" },
            { "managed.subscription.config.stopped", "Pause" },
            { "managed.subscription.config.deleted", "Pause" },
            { "managed.subscription.developer.name.not.found", "Pause" },
            { "managed.subscription.subscription.id.not.found", "Pause" },
            { "managed.subscription.subscription.id.invalid", "Pause" },
            { "managed.subscription.id.or.developer.name.empty", "Pause" },
            { "managed.subscription.fetch.request.commit.request.restricted", "Pause" },
        };

    [Theory]
    [MemberData(nameof(Codes))]
    public void Every_documented_code_is_acted_on(string code, string action)
    {
        var row = StreamErrors.Classify(Ended(StatusCode.InvalidArgument, $"sfdc.platform.eventbus.grpc.{code}"));

        Assert.Equal((code, action), (row.Code, row.Action.ToString()));
    }

    [Theory]
    [InlineData(StatusCode.Unauthenticated, "SignIn")]
    [InlineData(StatusCode.PermissionDenied, "Pause")]
    [InlineData(StatusCode.NotFound, "Pause")]
    [InlineData(StatusCode.Unimplemented, "Pause")]
    [InlineData(StatusCode.ResourceExhausted, "SlowDown")]
    [InlineData(StatusCode.Unavailable, "Retry")]
    [InlineData(StatusCode.DeadlineExceeded, "Retry")]
    [InlineData(StatusCode.Internal, "Retry")]
    [InlineData(StatusCode.DataLoss, "Retry")]
    public void Without_a_code_the_status_has_to_do(StatusCode status, string action)
    {
        Assert.Equal(action, StreamErrors.Classify(Ended(status, null)).Action.ToString());
        Assert.Equal(
            action,
            StreamErrors.Classify(Ended(status, "sfdc.platform.eventbus.grpc.brand.new")).Action.ToString()
        );
    }

    [Fact]
    public void A_certificate_that_is_not_trusted_is_named_however_deep_it_lies()
    {
        var cause = new HttpRequestException("no", new AuthenticationException("no"));

        var row = StreamErrors.Classify(new RpcException(new Status(StatusCode.Unavailable, "no", cause)));

        Assert.Equal("tls", row.Code);
    }

    [Fact]
    public void Every_row_has_words_and_who_has_to_act_is_told_how()
    {
        foreach (var row in StreamErrors.Table)
        {
            var failure = row.AsFailure();
            Assert.NotEmpty(row.Meaning);
            Assert.True(row.Remedy is not null || failure.Class != FailureClass.PauseAll, row.Code);
        }
    }

    [Fact]
    public void What_Salesforce_says_in_words_is_never_repeated()
    {
        var row = StreamErrors.Classify(Ended(StatusCode.InvalidArgument, null, "for ada@example.invalid"));

        Assert.DoesNotContain("ada", row.AsFailure().ToString(), StringComparison.Ordinal);
    }

    static RpcException Ended(StatusCode status, string? code, string detail = "detail") =>
        new(new Status(status, detail), code is null ? [] : new Metadata { { "error-code", code } });
}
