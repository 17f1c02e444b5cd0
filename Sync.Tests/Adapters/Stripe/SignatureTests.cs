using System.Text;
using Stripe;
using Sync.Stripe.Adapter.Webhooks;

namespace Sync.Tests.Adapters.Stripe;

/// <summary>Signatures, as Stripe's own client makes them.</summary>
public sealed class SignatureTests
{
    const string Secret = "whsec_one";
    const string Body = """{ "name": "Zoë ☃" }""";
    static readonly DateTimeOffset Now = new(2026, 11, 24, 12, 0, 0, TimeSpan.Zero);

    static SignatureVerdict Check(string? header, string body = Body, params string[] secrets) =>
        Signature.Check(Encoding.UTF8.GetBytes(body), header, secrets is [] ? [Secret] : secrets, Now);

    static string Sign(string secret = Secret, int age = 0, string body = Body) =>
        EventUtility.GenerateSignatureHeader(body, secret, Now.ToUnixTimeSeconds() - age);

    [Theory]
    [InlineData(0, SignatureVerdict.Valid)]
    [InlineData(300, SignatureVerdict.Valid)]
    [InlineData(-300, SignatureVerdict.Valid)]
    [InlineData(301, SignatureVerdict.OutOfTime)]
    [InlineData(-301, SignatureVerdict.OutOfTime)]
    [InlineData(90_000_000, SignatureVerdict.OutOfTime)]
    internal void A_signature_counts_for_five_minutes_either_way(int age, SignatureVerdict verdict) =>
        Assert.Equal(verdict, Check(Sign(age: age)));

    [Fact]
    public void One_byte_of_the_body_decides()
    {
        Assert.Equal(SignatureVerdict.Wrong, Check(Sign(), Body.Replace("Zoë", "Zoe", StringComparison.Ordinal)));
        Assert.Equal(SignatureVerdict.Wrong, Check(Sign(), Body + "\n"));
    }

    [Fact]
    public void While_a_secret_is_rolled_either_side_may_know_one_more()
    {
        var both = Sign("whsec_new") + "," + Sign().Split(',')[1];

        Assert.Equal(SignatureVerdict.Valid, Check(both));
        Assert.Equal(SignatureVerdict.Valid, Check(Sign("whsec_new"), Body, Secret, "whsec_new"));
        Assert.Equal(SignatureVerdict.Wrong, Check(Sign("whsec_new")));
    }

    [Fact]
    public void The_time_cannot_be_exchanged()
    {
        var old = Sign(age: 4_000).Split(',')[1];

        Assert.Equal(SignatureVerdict.Wrong, Check($"t={Now.ToUnixTimeSeconds()},{old}"));
    }

    [Theory]
    [InlineData(null, SignatureVerdict.Missing)]
    [InlineData("", SignatureVerdict.Missing)]
    [InlineData("nonsense", SignatureVerdict.Malformed)]
    [InlineData("t=,v1=", SignatureVerdict.Malformed)]
    [InlineData("t=1", SignatureVerdict.Malformed)]
    [InlineData("v1=00", SignatureVerdict.Malformed)]
    [InlineData("t=-1,v1=0000000000000000000000000000000000000000000000000000000000000000", SignatureVerdict.Malformed)]
    [InlineData(
        "t=1,t=2,v1=0000000000000000000000000000000000000000000000000000000000000000",
        SignatureVerdict.Malformed
    )]
    [InlineData("t=1,v1=0000000000000000000000000000000000000000000000000000000000000000", SignatureVerdict.Wrong)]
    [InlineData("t=1,v1=zz00000000000000000000000000000000000000000000000000000000000000", SignatureVerdict.Malformed)]
    internal void What_is_no_signature_is_told_apart(string? header, SignatureVerdict verdict) =>
        Assert.Equal(verdict, Check(header));

    [Fact]
    public void Another_scheme_is_left_alone()
    {
        Assert.Equal(SignatureVerdict.Valid, Check(Sign() + ",v0=deadbeef"));
        Assert.Equal(SignatureVerdict.Malformed, Check(Sign().Replace("v1=", "v0=", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_time_of_a_hundred_digits_is_out_of_time_and_no_accident()
    {
        var time = new string('9', 100);
        var signed = EventUtility.ComputeSignature(Secret, time, Body);

        Assert.Equal(SignatureVerdict.OutOfTime, Check($"t={time},v1={signed}"));
    }
}
