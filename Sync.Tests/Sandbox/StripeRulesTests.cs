namespace Sync.Tests.Sandbox;

/// <summary>What the real Stripe refuses, this one refuses; what clears there, clears here.</summary>
public sealed class StripeRulesTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() => _sandbox = await TestSandbox.Start();

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    [Theory]
    [InlineData("bogus=1", "bogus", "parameter_unknown")]
    [InlineData("address[zip]=1", "address[zip]", "parameter_unknown")]
    [InlineData("coupon=x", "coupon", "parameter_unknown")]
    [InlineData("email=nobody", "email", "email_invalid")]
    [InlineData("email=a@b@c", "email", "email_invalid")]
    [InlineData("tax_exempt=maybe", "tax_exempt", null)]
    [InlineData("name[first]=x", "name", null)]
    [InlineData("address=x", "address", null)]
    [InlineData("metadata=x", "metadata", null)]
    public async Task A_parameter_that_stripe_does_not_take_is_named(string form, string param, string? code)
    {
        var reply = await _sandbox.Post("/v1/customers", form);

        Assert.Equal(400, reply.Status);
        Assert.Equal("invalid_request_error", (string?)reply.Error["type"]);
        Assert.Equal(param, (string?)reply.Error["param"]);
        Assert.Equal(code, (string?)reply.Error["code"]);
        Assert.Empty(_sandbox.Host.Stripe.All());
    }

    [Theory]
    [InlineData("name", 256)]
    [InlineData("phone", 20)]
    [InlineData("email", 512)]
    [InlineData("description", 5_000)]
    [InlineData("business_name", 150)]
    [InlineData("individual_name", 150)]
    [InlineData("address[line1]", 5_000)]
    [InlineData("metadata[k]", 500)]
    public async Task A_value_may_be_as_long_as_the_limit_and_no_longer(string param, int limit)
    {
        // Characters outside of the basic plane: two UTF-16 units each, one character.
        var fits = param == "email" ? "a@" + new string('b', limit - 2) : string.Concat(Enumerable.Repeat("😀", limit));
        var name = Uri.EscapeDataString(param);

        Assert.Equal(200, (await _sandbox.Post("/v1/customers", $"{name}={Uri.EscapeDataString(fits)}")).Status);
        var reply = await _sandbox.Post("/v1/customers", $"{name}={Uri.EscapeDataString(fits + "x")}");

        Assert.Equal(400, reply.Status);
        Assert.Equal(param, (string?)reply.Error["param"]);
    }

    [Fact]
    public async Task Metadata_is_merged_and_an_empty_value_takes_a_key_away()
    {
        var id = await _sandbox.StripeCustomer("metadata[a]=1&metadata[b]=2");

        var reply = await _sandbox.Post($"/v1/customers/{id}", "metadata[b]=&metadata[c]=3");

        Assert.Equal("""{"a":"1","c":"3"}""", reply.Json!["metadata"]!.ToJsonString());
        Assert.Equal("{}", (await _sandbox.Post($"/v1/customers/{id}", "metadata=")).Json!["metadata"]!.ToJsonString());
    }

    [Fact]
    public async Task Metadata_has_at_most_50_keys_of_at_most_40_characters()
    {
        var fifty = string.Join('&', Enumerable.Range(0, 50).Select(i => $"metadata[k{i}]=v"));
        var id = await _sandbox.StripeCustomer(fifty);

        Assert.Equal(400, (await _sandbox.Post($"/v1/customers/{id}", "metadata[one_more]=v")).Status);
        Assert.Equal(200, (await _sandbox.Post($"/v1/customers/{id}", "metadata[k0]=&metadata[one_more]=v")).Status);
        Assert.Equal(200, (await _sandbox.Post("/v1/customers", $"metadata[{new string('k', 40)}]=v")).Status);
        Assert.Equal(400, (await _sandbox.Post("/v1/customers", $"metadata[{new string('k', 41)}]=v")).Status);
    }

    [Fact]
    public async Task Empty_text_clears_and_an_absent_member_stays()
    {
        var id = await _sandbox.StripeCustomer("name=Ada&email=a@x.org&phone=1&address[line1]=L&address[city]=C");

        var reply = await _sandbox.Post($"/v1/customers/{id}", "email=&address[city]=");

        Assert.Equal("Ada", (string?)reply.Json!["name"]);
        Assert.Null(reply.Json["email"]);
        Assert.Equal("1", (string?)reply.Json["phone"]);
        Assert.Equal("L", (string?)reply.Json["address"]!["line1"]);
        Assert.Null(reply.Json["address"]!["city"]);
        Assert.Null((await _sandbox.Post($"/v1/customers/{id}", "address=")).Json!["address"]);
    }

    [Fact]
    public async Task Lists_come_with_and_without_numbers()
    {
        var numbered = await _sandbox.Post("/v1/customers", "preferred_locales[0]=en&preferred_locales[1]=de");
        var bare = await _sandbox.Post("/v1/customers", "preferred_locales[]=en&preferred_locales[]=de");

        Assert.Equal("""["en","de"]""", numbered.Json!["preferred_locales"]!.ToJsonString());
        Assert.Equal("""["en","de"]""", bare.Json!["preferred_locales"]!.ToJsonString());
    }

    [Theory]
    [InlineData("name=%FF%FE")]
    [InlineData("name=%zz")]
    [InlineData("%FF=1")]
    [InlineData("name=a&name[b]=c")]
    [InlineData("[a]=1")]
    [InlineData("a[b=1")]
    public async Task Parameters_that_are_no_form_are_refused(string form) =>
        Assert.Equal(400, (await _sandbox.Post("/v1/customers", form)).Status);

    [Fact]
    public async Task A_body_that_is_not_a_form_is_refused()
    {
        var reply = await TestSandbox.Send(
            _sandbox.Stripe,
            HttpMethod.Post,
            "/v1/customers",
            TestSandbox.Json("""{"name":"Ada"}""")
        );

        Assert.Equal(400, reply.Status);
    }

    [Fact]
    public async Task A_deleted_customer_answers_with_a_stub_and_takes_nothing_any_more()
    {
        var id = await _sandbox.StripeCustomer();

        var deleted = await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Delete, $"/v1/customers/{id}");
        var read = await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, $"/v1/customers/{id}");

        Assert.Equal($$"""{"id":"{{id}}","object":"customer","deleted":true}""", deleted.Text);
        Assert.Equal(200, read.Status);
        Assert.Equal(deleted.Text, read.Text);
        foreach (
            var again in new[]
            {
                await _sandbox.Post($"/v1/customers/{id}", "name=Eve"),
                await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Delete, $"/v1/customers/{id}"),
            }
        )
        {
            Assert.Equal(404, again.Status);
            Assert.Equal("resource_missing", (string?)again.Error["code"]);
            Assert.Equal("id", (string?)again.Error["param"]);
        }

        Assert.Empty(
            (await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, "/v1/customers")).Json!["data"]!.AsArray()
        );
    }

    [Fact]
    public async Task An_unknown_customer_is_a_404_in_the_path_and_a_400_in_a_parameter()
    {
        var path = await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, "/v1/customers/cus_none");
        var parameter = await TestSandbox.Send(
            _sandbox.Stripe,
            HttpMethod.Get,
            "/v1/customers?starting_after=cus_none"
        );

        Assert.Equal(404, path.Status);
        Assert.Equal("No such customer: 'cus_none'", (string?)path.Error["message"]);
        Assert.Equal(400, parameter.Status);
        Assert.Equal("starting_after", (string?)parameter.Error["param"]);
    }

    [Theory]
    [InlineData(null, 401)]
    [InlineData("Bearer sk_test_wrong_and_long_enough", 401)]
    [InlineData("Basic bm9uc2Vuc2U6", 401)]
    [InlineData("Basic !!", 401)]
    [InlineData("Bearer sk_test_sandbox", 200)]
    [InlineData("Basic c2tfdGVzdF9zYW5kYm94Og==", 200)]
    public async Task The_key_comes_as_bearer_or_as_basic(string? authorization, int status)
    {
        using var stranger = new HttpClient { BaseAddress = _sandbox.Host.StripeAddress };

        var reply = await TestSandbox.Send(
            stranger,
            HttpMethod.Get,
            "/v1/customers",
            null,
            authorization is null ? [] : [("Authorization", authorization)]
        );

        Assert.Equal(status, reply.Status);
        Assert.StartsWith("req_", reply.Header("Request-Id"), StringComparison.Ordinal);
        if (status == 401)
        {
            Assert.Equal("invalid_request_error", (string?)reply.Error["type"]);
            Assert.DoesNotContain("wrong_and_long", reply.Text, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("GET", "/v1/charges")]
    [InlineData("PUT", "/v1/customers/cus_1")]
    [InlineData("GET", "/v2/customers")]
    public async Task Other_urls_are_not_recognised(string method, string path)
    {
        var reply = await TestSandbox.Send(_sandbox.Stripe, new HttpMethod(method), path);

        Assert.Equal(404, reply.Status);
        Assert.StartsWith("Unrecognized request URL", (string?)reply.Error["message"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_list_is_newest_first_and_pages_both_ways()
    {
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
            ids.Add(await _sandbox.StripeCustomer($"name=C{i}"));

        Assert.Equal(["4", "3", "True"], await Page("limit=2", ids));
        Assert.Equal(["2", "1", "True"], await Page($"limit=2&starting_after={ids[3]}", ids));
        Assert.Equal(["0", "False"], await Page($"limit=2&starting_after={ids[1]}", ids));
        Assert.Equal(["2", "1", "True"], await Page($"limit=2&ending_before={ids[0]}", ids));
        Assert.Equal(["4", "False"], await Page($"limit=2&ending_before={ids[3]}", ids));
    }

    [Fact]
    public async Task An_email_filter_is_exact_and_case_sensitive()
    {
        await _sandbox.StripeCustomer("email=Ada@x.org");

        Assert.Single(await List("email=Ada@x.org"));
        Assert.Empty(await List("email=ada@x.org"));
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=101", "limit")]
    [InlineData("limit=x", "limit")]
    [InlineData("created[gte]=yesterday", "created[gte]")]
    [InlineData("created[since]=1", "created[since]")]
    [InlineData("name=Ada", "name")]
    [InlineData("starting_after=a&ending_before=b", "starting_after")]
    public async Task A_list_takes_its_own_parameters_only(string query, string param)
    {
        var reply = await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, $"/v1/customers?{query}");

        Assert.Equal(400, reply.Status);
        Assert.Equal(param, (string?)reply.Error["param"]);
    }

    [Fact]
    public async Task Subscriptions_of_a_customer_are_listed_by_status_and_end_with_the_customer()
    {
        var id = await _sandbox.StripeCustomer();
        _sandbox.Host.Stripe.Subscribe(id, "past_due");

        Assert.Single(await Subscriptions($"customer={id}"));
        Assert.Single(await Subscriptions($"customer={id}&status=past_due"));
        Assert.Empty(await Subscriptions($"customer={id}&status=active"));
        _sandbox.Host.Stripe.Delete(id);
        Assert.Empty(await Subscriptions($"customer={id}"));
        Assert.Equal("canceled", Assert.Single(await Subscriptions($"customer={id}&status=all")));
        Assert.Equal(
            400,
            (await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, "/v1/subscriptions?customer=cus_none")).Status
        );
        Assert.Equal(
            400,
            (
                await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, $"/v1/subscriptions?customer={id}&status=x")
            ).Status
        );
    }

    [Fact]
    public async Task Search_finds_by_metadata_with_quotes_escaped()
    {
        await _sandbox.StripeCustomer("metadata[customer_id]=it's");
        await _sandbox.StripeCustomer("metadata[customer_id]=x");

        var found = await Search("""metadata['customer_id']:'it\'s'""");

        Assert.Equal("it's", (string?)Assert.Single(found.Json!["data"]!.AsArray())!["metadata"]!["customer_id"]);
        Assert.Equal("search_result", (string?)found.Json["object"]);
        Assert.Equal(400, (await Search("metadata['customer_id']:'it's'")).Status);
        Assert.Equal(400, (await Search("name:'a' AND name:'b' OR name:'c'")).Status);
        Assert.Equal(400, (await Search("")).Status);
    }

    Task<Reply> Search(string query) =>
        TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, $"/v1/customers/search?query={Uri.EscapeDataString(query)}");

    async Task<List<string>> Page(string query, List<string> ids)
    {
        var reply = await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, $"/v1/customers?{query}");
        return
        [
            .. reply.Json!["data"]!.AsArray().Select(c => ids.IndexOf((string)c!["id"]!).ToString()),
            ((bool)reply.Json["has_more"]!).ToString(),
        ];
    }

    async Task<List<string?>> List(string query) =>
        [
            .. (await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, $"/v1/customers?{query}")).Json!["data"]!
                .AsArray()
                .Select(c => (string?)c!["id"]),
        ];

    async Task<List<string?>> Subscriptions(string query) =>
        [
            .. (await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, $"/v1/subscriptions?{query}")).Json!["data"]!
                .AsArray()
                .Select(c => (string?)c!["status"]),
        ];
}
