using Sync.Sandbox.Stack;

namespace Sync.Tests.EndToEnd;

/// <summary>A process that cannot work as it is told does not start, and says everything that is wrong at once.</summary>
public sealed class SettingsTests
{
    static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(60);

    public static TheoryData<string, string[]> Processes =>
        new()
        {
            { "Sync.Orchestrator", [] },
            { "Sync.Stripe.Adapter", ["STRIPE__APIKEY"] },
            { "Sync.Salesforce.Adapter", ["SALESFORCE__LOGINURL", "SALESFORCE__CLIENTID", "SALESFORCE__CLIENTSECRET"] },
        };

    [Theory]
    [MemberData(nameof(Processes))]
    public async Task Every_setting_that_is_missing_is_named_at_once(string project, string[] own)
    {
        var said = await Refused(project, []);

        Assert.All(
            ["KAFKA__BOOTSTRAP", "DATABASE__URL", "SYNC__CONFIG", .. own],
            (string name) => Assert.Contains(name, said, StringComparison.Ordinal)
        );
    }

    [Theory]
    [MemberData(nameof(Processes))]
    public async Task Every_setting_that_is_wrong_is_named_at_once_and_no_value_is_shown(string project, string[] own)
    {
        _ = own;
        var said = await Refused(
            project,
            new()
            {
                ["KAFKA__BOOTSTRAP"] = "127.0.0.1:1",
                ["KAFKA__PARTITIONS"] = "a-few-secret",
                ["KAFKA__SECURITYPROTOCOL"] = "SaslSsl",
                ["DATABASE__URL"] = "not-a-connection=secret;",
                ["MANAGEMENT__PORT"] = "99999",
                ["MANAGEMENT__ADDRESS"] = "somewhere-secret",
                ["SYNC__CONFIG"] = Path.Combine(StackOptions.Root, "no-such-folder"),
                ["SYNC__REPLICA"] = "no spaces allowed secret",
                ["STRIPE__APIKEY"] = "sk_test_secret with spaces",
                ["STRIPE__APIBASE"] = "ftp://secret",
                ["STRIPE__WRITESPERSECOND"] = "0",
                ["SALESFORCE__LOGINURL"] = "https://login.salesforce.com",
                ["SALESFORCE__CLIENTID"] = "id",
                ["SALESFORCE__CLIENTSECRET"] = "secret",
                ["SALESFORCE__APIVERSION"] = "newest",
                ["ADAPTER__WORKERS"] = "0",
                ["ADAPTER__SCANHOURS"] = "-1",
                ["ADAPTER__WORKER"] = "misspelt-secret",
                ["CUSTOMERS__LOOPBRAKE"] = "-1",
                ["CUSTOMERS__DELETIONWINDOW"] = "long-secret",
            }
        );

        string[] expected =
        [
            "KAFKA__PARTITIONS",
            "KAFKA__SASLMECHANISM",
            "DATABASE__URL",
            "MANAGEMENT__PORT",
            "MANAGEMENT__ADDRESS",
            "SYNC__CONFIG",
            "SYNC__REPLICA",
            .. project switch
            {
                "Sync.Stripe.Adapter" => ["STRIPE__APIKEY", "STRIPE__APIBASE", "STRIPE__WRITESPERSECOND"],
                "Sync.Salesforce.Adapter" => (string[])["SALESFORCE__LOGINURL", "SALESFORCE__APIVERSION"],
                _ => ["CUSTOMERS__LOOPBRAKE", "CUSTOMERS__DELETIONWINDOW"],
            },
            .. project == "Sync.Orchestrator"
                ? (string[])[]
                : ["ADAPTER__WORKERS", "ADAPTER__SCANHOURS", "ADAPTER__WORKER: is no setting"],
        ];
        Assert.All(expected, name => Assert.Contains(name, said, StringComparison.Ordinal));
        Assert.DoesNotContain(
            "secret",
            said.Replace("SALESFORCE__CLIENTSECRET", "", StringComparison.Ordinal),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task A_mapping_with_faults_is_refused_with_all_of_them()
    {
        var folder = Directory.CreateTempSubdirectory("sync-config-").FullName;
        try
        {
            await File.WriteAllTextAsync(
                Path.Combine(folder, "systems.json"),
                """[{ "name": "product", "fields": { "nmae": { "to": "name" } } }, { "name": "stripe", "fields": {} }]""",
                TestContext.Current.CancellationToken
            );
            await File.WriteAllTextAsync(
                Path.Combine(folder, "fields.json"),
                """[{ "path": "name", "owner": "nobody" }]""",
                TestContext.Current.CancellationToken
            );

            var said = await Refused(
                "Sync.Orchestrator",
                new()
                {
                    ["KAFKA__BOOTSTRAP"] = "127.0.0.1:1",
                    ["DATABASE__URL"] = "Host=127.0.0.1;Database=x",
                    ["SYNC__CONFIG"] = folder,
                }
            );

            Assert.All(
                ["nmae", "maps no field", "nobody"],
                (string fault) => Assert.Contains(fault, said, StringComparison.Ordinal)
            );
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    static async Task<string> Refused(string project, Dictionary<string, string> settings)
    {
        await using var process = new ManagedProcess(
            project,
            StackOptions.Assembly(project),
            settings,
            RunningStack.LogFolder("settings")
        );
        process.Start();

        var code = await process.WaitForExit(AtOnce, TestContext.Current.CancellationToken);

        Assert.Equal(2, code);
        return await File.ReadAllTextAsync(process.LogFile, TestContext.Current.CancellationToken);
    }
}
