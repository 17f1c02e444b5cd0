using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sync.Contracts;
using Sync.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace Sync.Tests.Deploy;

/// <summary>
/// <c>deploy/Dockerfile</c>, <c>compose.yaml</c> and the Kustomize base, read and held to the code and to each other. There is
/// no Docker and no cluster where the tests run: what they show is that names agree.
/// </summary>
public sealed partial class ContainerTests
{
    const string Kubernetes = "deploy/kubernetes/";

    /// <summary>Where people type commands: it serves nothing, and runs only while somebody works.</summary>
    const string CommandLine = "operator";

    static readonly string Dockerfile = Repository.Read("deploy/Dockerfile");

    static readonly YamlMappingNode Compose = Map(Documents("deploy/compose.yaml").Single());

    /// <summary>The images of ours, by the project that each is made from.</summary>
    static readonly Dictionary<string, string> Images = new(StringComparer.Ordinal)
    {
        ["sync/orchestrator"] = "Sync.Orchestrator",
        ["sync/stripe-adapter"] = "Sync.Stripe.Adapter",
        ["sync/salesforce-adapter"] = "Sync.Salesforce.Adapter",
        ["sync/sandbox"] = "Sync.Sandbox",
    };

    static readonly HashSet<string> Settings =
    [
        .. SettingName().Matches(Repository.Read(".env.example")).Select(m => m.Groups["name"].Value),
    ];

    static IEnumerable<(string Name, YamlMappingNode Service)> Services =>
        Map(Compose["services"]).Children.Select(c => ($"{c.Key}", Map(c.Value)));

    static IEnumerable<(string Name, YamlMappingNode Service)> OfOurs =>
        Services.Where(s => $"{Merged(s.Service, "image")}".StartsWith("sync/", StringComparison.Ordinal));

    /// <summary>Every object of the base, as its kustomization lists them.</summary>
    static readonly List<YamlMappingNode> Objects =
    [
        .. Items(Kustomization["resources"]).SelectMany(file => Documents(Kubernetes + $"{file}")).Select(Map),
    ];

    static YamlMappingNode Kustomization => Map(Documents(Kubernetes + "kustomization.yaml").Single());

    [Fact]
    public void The_image_runs_as_nobody_in_particular_and_says_how_it_is()
    {
        var lines = Dockerfile.Split('\n');
        var last = Array.FindLastIndex(lines, l => l.StartsWith("FROM ", StringComparison.Ordinal));

        Assert.Contains(lines.Skip(last), l => l == "USER $APP_UID");
        Assert.Contains(lines.Skip(last), l => l.StartsWith("HEALTHCHECK ", StringComparison.Ordinal));
        Assert.Contains("HEALTH=http://127.0.0.1:8080/health/live", Dockerfile, StringComparison.Ordinal);
        Assert.Contains("--locked-mode", Dockerfile, StringComparison.Ordinal);
        // Nothing is made by the owner of the files once the user is another.
        Assert.DoesNotContain(
            lines.Skip(Array.IndexOf(lines, "USER $APP_UID")),
            l => l.StartsWith("RUN ", StringComparison.Ordinal)
        );
        // The build takes the whole checkout: no file with a secret that a document speaks of is in it.
        var kept = Repository.Read("deploy/Dockerfile.dockerignore").Split('\n');
        Assert.All(
            (string[])["**/.env", "**/*.env", "**/*.key", "**/*.pem", "**/*.p12", "**/*.pfx"],
            secret => Assert.Contains(secret, kept)
        );
    }

    [Fact]
    public void Every_image_that_is_spoken_of_is_made_from_a_project_that_is_there()
    {
        foreach (var (image, project) in Images)
        {
            Assert.True(File.Exists(Path.Combine(Repository.Root, project, $"{project}.csproj")), project);
            Assert.Matches($@"PROJECT={Regex.Escape(project)}\s+-t {Regex.Escape(image)}\b", Dockerfile);
        }

        foreach (var (name, service) in OfOurs)
            Assert.Equal((name, Images[$"{service["image"]}"]), (name, $"{service["build"]["args"]["PROJECT"]}"));
        var tagged = Items(Kustomization["images"]).Select(i => $"{i["name"]}").ToList();
        Assert.Equal(
            tagged.Order(StringComparer.Ordinal),
            Containers().Select(c => $"{c.Container["image"]}").Distinct().Order(StringComparer.Ordinal)
        );
        Assert.All(tagged, image => Assert.Contains(image, Images.Keys));
        // No image of others floats: what runs tomorrow is what ran today.
        Assert.All(
            Services.Except(OfOurs).Select(s => $"{s.Service["image"]}"),
            image => Assert.Matches(":v?[0-9]", image)
        );
        var version = Regex.Match(Repository.Read("Directory.Build.props"), "<Version>(.+)</Version>").Groups[1].Value;
        Assert.All(Items(Kustomization["images"]), image => Assert.Equal(version, $"{image["newTag"]}"));
    }

    [Fact]
    public void Every_setting_that_is_given_is_one_that_exists()
    {
        var given = OfOurs
            .SelectMany(s => Environment(s.Service).Keys.Select(name => $"compose, {s.Name}: {name}"))
            .Concat(
                Containers()
                    .SelectMany(c => Items(c.Container["env"]).Select(e => $"kubernetes, {c.Owner}: {e["name"]}"))
            )
            .Concat(Literals().Keys.Select(name => $"kubernetes: {name}"))
            .Concat(ImageSettings().Select(name => $"image: {name}"));

        Assert.Empty(given.Where(g => !Settings.Contains(g[(g.LastIndexOf(' ') + 1)..])));
    }

    [Fact]
    public void Every_process_is_given_what_it_cannot_start_without()
    {
        string[] all = ["KAFKA__BOOTSTRAP", "DATABASE__URL", "SYNC__CONFIG"];
        var own = new Dictionary<string, string[]>
        {
            ["orchestrator"] = all,
            ["stripe-adapter"] = [.. all, "STRIPE__APIKEY"],
            ["salesforce-adapter"] =
            [
                .. all,
                "SALESFORCE__LOGINURL",
                "SALESFORCE__CLIENTID",
                "SALESFORCE__CLIENTSECRET",
            ],
        };
        foreach (var (process, needed) in own)
        {
            var compose = Environment(OfOurs.Single(s => s.Name == process).Service).Keys.Concat(ImageSettings());
            Assert.Empty(needed.Except(compose).Select(name => $"compose, {process}: {name}"));
            var pod = Containers().Single(c => c.Owner == $"Deployment {process}").Container;
            Assert.Empty(
                needed
                    .Except(Items(pod["env"]).Select(e => $"{e["name"]}"))
                    .Except(Literals().Keys)
                    .Select(name => $"kubernetes, {process}: {name}")
            );
            // Replicas must differ, and the name of a pod does.
            Assert.Contains("SYNC__REPLICA", compose);
        }
    }

    /// <summary>Where this installation's Kafka, database, files and ports are; a .env made for another says nothing about it.</summary>
    static readonly string[] OfTheMachine =
    [
        "DATABASE__MIGRATEATSTART",
        "DATABASE__POOLER",
        "DATABASE__URL",
        "KAFKA__BOOTSTRAP",
        "KAFKA__CLUSTERID",
        "KAFKA__EMBEDDED",
        "KAFKA__PARTITIONS",
        "KAFKA__REPLICATION",
        "KAFKA__SASLMECHANISM",
        "KAFKA__SASLPASSWORD",
        "KAFKA__SASLUSERNAME",
        "KAFKA__SECURITYPROTOCOL",
        "KAFKA__SSLCALOCATION",
        "MANAGEMENT__ADDRESS",
        "MANAGEMENT__PORT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "SYNC__CONFIG",
        "SYNC__REPLICA",
    ];

    [Theory]
    [InlineData("orchestrator", new[] { "stripe", "salesforce" }, new string[0])]
    [InlineData("stripe-adapter", new[] { "salesforce" }, new[] { "STRIPE__WEBHOOKADDRESS", "STRIPE__WEBHOOKPORT" })]
    [InlineData("salesforce-adapter", new[] { "stripe" }, new string[0])]
    public void Every_setting_of_a_person_reaches_its_container_but_those_of_the_machine(
        string process,
        string[] strangers,
        string[] ports
    )
    {
        var service = OfOurs.Single(s => s.Name == process).Service;
        var file = Items(Merged(service, "env_file")!).Single();
        Assert.Equal(("../.env", "false"), ($"{file["path"]}", $"{file["required"]}"));

        var environment = Environment(service);
        var secrets = new Dictionary<string, string[]>
        {
            ["stripe"] = ["STRIPE__APIKEY", "STRIPE__WEBHOOKSECRETS"],
            ["salesforce"] = ["SALESFORCE__CLIENTSECRET", "SALESFORCE__JWTKEYFILE"],
        };
        // Nothing else is said here that a person may want to say; what passes a setting of the same name on says nothing.
        Assert.Equal(
            OfTheMachine.Concat(ports).Concat(strangers.SelectMany(s => secrets[s])).Order(StringComparer.Ordinal),
            environment
                .Where(e => !e.Value.StartsWith($"${{{e.Key}:", StringComparison.Ordinal))
                .Select(e => e.Key)
                .Order(StringComparer.Ordinal)
        );
        Assert.All(strangers.SelectMany(s => secrets[s]), secret => Assert.Equal("", environment[secret]));
        // A secret and a key together are refused, so neither may be asked for.
        Assert.DoesNotContain(
            environment,
            e =>
                e.Key is "SALESFORCE__CLIENTSECRET" or "SALESFORCE__JWTKEYFILE"
                && e.Value.Contains(":?", StringComparison.Ordinal)
        );
        Assert.Contains("../config:/app/config:ro", Items(Merged(service, "volumes")!).Select(v => $"{v}"));
        // What names a file names the place where the container has it.
        foreach (var (name, value) in environment.Where(e => e.Value.Contains(":+", StringComparison.Ordinal)))
            Assert.Contains(
                Items(Merged(service, "volumes")!).OfType<YamlMappingNode>(),
                mount => $"{mount["source"]}" == $"${{{name}:-/dev/null}}" && value == $"${{{name}:+{mount["target"]}}}"
            );
    }

    [Fact]
    public void Every_process_has_its_own_role_and_the_owner_only_migrates()
    {
        var roles = OfOurs.ToDictionary(
            s => s.Name,
            s => Role().Match($"{Environment(s.Service)["DATABASE__URL"]}").Groups["role"].Value
        );

        Assert.Equal(
            new Dictionary<string, string>
            {
                ["migrate-orchestrator"] = "sync_owner",
                ["migrate-stripe"] = "sync_owner",
                ["migrate-salesforce"] = "sync_owner",
                ["topics"] = "sync_orchestrator",
                ["orchestrator"] = "sync_orchestrator",
                ["stripe-adapter"] = "sync_stripe",
                ["salesforce-adapter"] = "sync_salesforce",
                ["operator"] = "sync_operator",
            },
            roles
        );
        var script = Repository.Read("deploy/postgres/roles.sql");
        Assert.All(roles.Values, role => Assert.Contains($"--   {role} ", script, StringComparison.Ordinal));
        // Each of them has a password, of which PostgreSQL's own container is told.
        var passwords = Regex
            .Match(Repository.Read("deploy/postgres/passwords.sh"), "for role in (?<roles>[A-Z ]+);")
            .Groups["roles"]
            .Value.Split(' ');
        Assert.Equal(
            Regex
                .Match(script, @"foreach role in array array\[(?<roles>[^\]]+)\]")
                .Groups["roles"]
                .Value.Replace("'", "", StringComparison.Ordinal)
                .ToUpperInvariant()
                .Split(", ")
                .Order(StringComparer.Ordinal),
            passwords.Order(StringComparer.Ordinal)
        );
        var told = Environment(Services.Single(s => s.Name == "postgres").Service);
        Assert.All(passwords, role => Assert.Equal($"${{SYNC_{role}_PASSWORD:?}}", told[$"SYNC_{role}_PASSWORD"]));
        var keys = Containers()
            .ToDictionary(
                c => c.Owner,
                c =>
                    $"{Items(c.Container["env"]).Single(e => $"{e["name"]}" == "DATABASE__URL")["valueFrom"]["secretKeyRef"]["key"]}"
            );
        Assert.All(
            keys,
            key =>
                Assert.Equal(
                    key.Key.StartsWith("Job migrate", StringComparison.Ordinal),
                    key.Value == "OWNER_DATABASE_URL"
                )
        );
    }

    [Fact]
    public void Every_secret_is_asked_for_by_a_key_that_the_example_names()
    {
        var example = SecretName()
            .Matches(Repository.Read(Kubernetes + "secrets.example.env"))
            .Select(m => m.Groups["name"].Value);
        var used = Containers()
            .SelectMany(c => Items(c.Container["env"]))
            .Select(e => e is YamlMappingNode m && m.Children.TryGetValue("valueFrom", out var from) ? from : null)
            .OfType<YamlMappingNode>()
            .Where(from => from.Children.ContainsKey("secretKeyRef"))
            .Select(from => from["secretKeyRef"])
            .ToList();

        Assert.Equal(
            example.Order(StringComparer.Ordinal),
            used.Select(u => $"{u["key"]}").Distinct().Order(StringComparer.Ordinal)
        );
        Assert.All(used, u => Assert.Equal("sync-secrets", $"{u["name"]}"));
        // A secret beside a key is refused, so the pod starts without either of them.
        Assert.All(
            used.Where(u => $"{u["key"]}" is "SALESFORCE_CLIENTSECRET" or "SALESFORCE_JWTKEYFILE"),
            u => Assert.Equal("true", $"{u["optional"]}")
        );
        // Whoever talks to Kafka may have to say who it is.
        Assert.All(
            Containers(),
            c =>
                Assert.Equal(
                    (c.Owner, "KAFKA_SASLPASSWORD true, KAFKA_SASLUSERNAME true"),
                    (
                        c.Owner,
                        string.Join(
                            ", ",
                            Items(c.Container["env"])
                                .Where(e => $"{e["name"]}".StartsWith("KAFKA__SASL", StringComparison.Ordinal))
                                .Select(e => e["valueFrom"]["secretKeyRef"])
                                .Select(s => $"{s["key"]} {s["optional"]}")
                                .Order(StringComparer.Ordinal)
                        )
                    )
                )
        );
        // Nothing secret is a literal.
        Assert.DoesNotContain(
            Literals().Keys,
            name => name.Contains("KEY", StringComparison.Ordinal) || name.Contains("SECRET", StringComparison.Ordinal)
        );
        var variables = Variable()
            .Matches(Repository.Read("deploy/compose.yaml"))
            .Select(m => m.Groups["name"].Value)
            .Distinct();
        var passwords = SecretName()
            .Matches(Repository.Read("deploy/compose.env.example"))
            .Select(m => m.Groups["name"].Value);
        Assert.Empty(variables.Except(passwords).Where(name => name != "NAME" && !Settings.Contains(name)));
        Assert.Empty(passwords.Except(variables));
    }

    [Fact]
    public void Probes_ask_pages_that_are_there_on_the_port_of_the_setting()
    {
        var pages = Page()
            .Matches(Repository.Read("Sync.Messaging/Hosting/ManagementServer.cs"))
            .Select(m => m.Groups["page"].Value)
            .ToList();
        var probes = 0;
        foreach (
            var (owner, container) in Containers()
                .Where(c =>
                    c.Owner.StartsWith("Deployment", StringComparison.Ordinal) && c.Owner != $"Deployment {CommandLine}"
                )
        )
        {
            var ports = Items(container["ports"]).ToDictionary(p => $"{p["name"]}", p => $"{p["containerPort"]}");
            Assert.Equal(Literals()["MANAGEMENT__PORT"], ports["management"]);
            foreach (
                var (probe, page) in ((string, string)[])
                    [
                        ("startupProbe", "/health/live"),
                        ("livenessProbe", "/health/live"),
                        ("readinessProbe", "/health/ready"),
                    ]
            )
            {
                var get = container[probe]["httpGet"];
                Assert.Equal((owner, page), (owner, $"{get["path"]}"));
                Assert.Contains($"{get["path"]}", pages);
                Assert.Contains($"{get["port"]}", ports.Keys);
                probes++;
            }

            var webhooks = Items(container["env"]).SingleOrDefault(e => $"{e["name"]}" == "STRIPE__WEBHOOKPORT");
            Assert.Equal(webhooks is null ? null : $"{webhooks["value"]}", ports.GetValueOrDefault("webhooks"));
        }

        Assert.Equal(9, probes);
        foreach (
            var (name, service) in OfOurs.Where(s =>
                s.Service.Children.ContainsKey("healthcheck") is false && !IsOnce(s.Service) && s.Name != CommandLine
            )
        )
            Assert.Contains(
                "http://127.0.0.1:8080/health/live",
                Items(Merged(service, "healthcheck")!["test"]).Select(t => $"{t}")
            );
        Assert.Contains("MANAGEMENT__PORT=8080", Dockerfile, StringComparison.Ordinal);
    }

    [Fact]
    public void Everything_in_kubernetes_is_bounded_and_may_do_nothing_that_it_need_not()
    {
        foreach (var (owner, container) in Containers())
        {
            Assert.True(container["resources"]["limits"]["memory"] is not null, owner);
            Assert.True(container["resources"]["requests"]["cpu"] is not null, owner);
            var security = container["securityContext"];
            Assert.Equal((owner, "false"), (owner, $"{security["allowPrivilegeEscalation"]}"));
            Assert.Equal((owner, "true"), (owner, $"{security["readOnlyRootFilesystem"]}"));
            Assert.Equal(["ALL"], Items(security["capabilities"]["drop"]).Select(c => $"{c}"));
            Assert.Equal("sync-settings", $"{Items(container["envFrom"]).Single()["configMapRef"]["name"]}");
        }

        foreach (
            var pod in Objects
                .Where(o => $"{o["kind"]}" is "Deployment" or "Job")
                .Select(o => o["spec"]["template"]["spec"])
        )
        {
            Assert.Equal("true", $"{pod["securityContext"]["runAsNonRoot"]}");
            Assert.Equal("false", $"{pod["automountServiceAccountToken"]}");
            var volumes = Items(pod["volumes"]).Select(v => $"{v["name"]}").ToList();
            Assert.Equal(volumes, Items(Items(pod["containers"]).Single()["volumeMounts"]).Select(m => $"{m["name"]}"));
        }
    }

    [Fact]
    public void A_key_of_Salesforce_s_app_has_its_place_in_the_pod()
    {
        var pod = Objects.Single(o => $"{o["kind"]}" == "Deployment" && Name(o) == "salesforce-adapter")["spec"][
            "template"
        ]["spec"];
        var secret = Items(pod["volumes"]).Single(v => $"{v["name"]}" == "keys")["secret"];
        var mount = Items(Items(pod["containers"]).Single()["volumeMounts"]).Single(m => $"{m["name"]}" == "keys");

        Assert.Equal("true", $"{secret["optional"]}");
        Assert.Equal("true", $"{mount["readOnly"]}");
        // The example makes that secret, and says the path under which its file is found.
        var example = Repository.Read(Kubernetes + "secrets.example.env");
        var made = Regex.Match(example, @"secret generic (?<name>\S+) --from-file=(?<file>[^=]+)=");
        Assert.Equal($"{secret["secretName"]}", made.Groups["name"].Value);
        Assert.Contains($"{mount["mountPath"]}/{made.Groups["file"].Value},", example, StringComparison.Ordinal);
    }

    /// <summary>People see and ask from where they are put, with their own role and never as a part of what runs.</summary>
    [Fact]
    public void An_operator_has_a_command_line_in_compose_and_in_kubernetes()
    {
        var service = Services.Single(s => s.Name == CommandLine).Service;
        Assert.Equal([CommandLine], Items(service["profiles"]).Select(p => $"{p}"));
        Assert.Equal("no", $"{service["restart"]}");
        // Without a verb the image is the orchestrator itself, which this role must not be.
        Assert.NotEmpty(Items(service["command"]));
        Assert.Equal("kafka:9092", Environment(service)["KAFKA__BOOTSTRAP"]);
        Assert.All(
            Services.Where(s => s.Name != CommandLine),
            s =>
                Assert.DoesNotContain(
                    Map(Merged(s.Service, "depends_on") ?? new YamlMappingNode()).Children.Keys,
                    on => $"{on}" == CommandLine
                )
        );

        var deployment = Objects.Single(o => $"{o["kind"]}" == "Deployment" && Name(o) == CommandLine);
        Assert.Equal("0", $"{deployment["spec"]["replicas"]}");
        Assert.Equal(
            "OPERATOR_DATABASE_URL",
            Containers()
                .Where(c => c.Owner == $"Deployment {CommandLine}")
                .SelectMany(c => Items(c.Container["env"]))
                .Where(e => $"{e["name"]}" == "DATABASE__URL")
                .Select(e => $"{e["valueFrom"]["secretKeyRef"]["key"]}")
                .Single()
        );
        // What the page has people type after it is a command that there is.
        var typed = Regex
            .Matches(
                Repository.Read("docs/operate.md"),
                @"(?:--rm operator|deployment/operator -- dotnet Sync\.Orchestrator\.dll) (?<verb>.+)"
            )
            .Select(m => m.Groups["verb"].Value)
            .ToList();
        Assert.Equal(2, typed.Count);
        Assert.All(
            typed,
            verb =>
                Assert.Empty(
                    Sync.Orchestrator.Commands.CommandLine.Root(
                            new(TextReader.Null, TextWriter.Null, TextWriter.Null, false, false, false)
                        )
                        .Parse(verb.Split(' '))
                        .Errors
                )
        );
    }

    [Fact]
    public void Services_budgets_and_autoscalers_point_at_what_is_there()
    {
        var deployments = Objects
            .Where(o => $"{o["kind"]}" == "Deployment" && Name(o) != CommandLine)
            .ToDictionary(Name, o => o);
        Assert.Equal(
            ["orchestrator", "salesforce-adapter", "stripe-adapter"],
            deployments.Keys.Order(StringComparer.Ordinal)
        );
        foreach (var (name, deployment) in deployments)
        {
            Assert.Equal(name, $"{deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]}");
            Assert.Equal(name, $"{deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]}");
            foreach (var kind in (string[])["Service", "PodDisruptionBudget"])
            {
                var selector = Objects.Single(o => $"{o["kind"]}" == kind && Name(o) == name)["spec"]["selector"];
                Assert.Equal(
                    name,
                    $"{(kind == "Service" ? selector : selector["matchLabels"])["app.kubernetes.io/name"]}"
                );
            }
        }

        var scalers = Objects.Where(o => $"{o["kind"]}" == "HorizontalPodAutoscaler").ToList();
        // What is behind in Kafka is intake alone; what was taken in and waits is the adapter's own backlog.
        foreach (var system in (string[])[SystemNames.Salesforce, SystemNames.Stripe])
            Assert.Equal(
                [
                    $"sync_adapter_lanes_due sync_system={system}",
                    $"sync_kernel_consumer_lag messaging_consumer_group_name={Groups.Adapter(system)}",
                ],
                Items(scalers.Single(s => Name(s) == $"{system}-adapter")["spec"]["metrics"])
                    .Select(m => m["external"]["metric"])
                    .Select(m =>
                        $"{m["name"]} {string.Join(',', Map(m["selector"]["matchLabels"]).Select(l => $"{l.Key}={l.Value}"))}"
                    )
                    .Order(StringComparer.Ordinal)
            );
        Assert.Equal(2, scalers.Count);
        // Two masters of one number: every apply would undo what the autoscaler did.
        var scaled = scalers.Select(s => $"{s["spec"]["scaleTargetRef"]["name"]}").ToList();
        Assert.All(scaled, name => Assert.Contains(name, deployments.Keys));
        Assert.All(
            deployments,
            d => Assert.Equal(scaled.Contains(d.Key), !Map(d.Value["spec"]).Children.ContainsKey("replicas"))
        );
        Assert.All(
            scalers,
            s =>
                Assert.InRange(
                    int.Parse($"{s["spec"]["maxReplicas"]}", System.Globalization.CultureInfo.InvariantCulture),
                    2,
                    Topics.Partitions
                )
        );
    }

    /// <summary>What the page tells people to type finds what it speaks of, in the order in which an upgrade has to go.</summary>
    [Fact]
    public void The_documented_upgrade_names_what_is_there()
    {
        var upgrade = Repository
            .Read("docs/operate.md")
            .Split("\n## ")
            .Single(part => part.StartsWith("Upgrade\n", StringComparison.Ordinal));
        var lines = upgrade.Split('\n').Where(l => l.StartsWith("kubectl ", StringComparison.Ordinal)).ToList();
        var components = lines
            .SelectMany(l => Regex.Matches(l, @"component(?:=| in \()(?<names>[a-z, ]+)"))
            .SelectMany(m => m.Groups["names"].Value.Split(',', StringSplitOptions.TrimEntries))
            .ToHashSet();

        Assert.Equal(
            components.Order(StringComparer.Ordinal),
            Objects
                .Select(o => Map(o["metadata"]))
                .Where(m => m.Children.ContainsKey("labels"))
                .Select(m => Map(m["labels"]))
                .Concat(Items(Kustomization["configMapGenerator"]).Select(g => Map(g["options"]["labels"])))
                .Where(l => l.Children.ContainsKey("app.kubernetes.io/component"))
                .Select(l => $"{l["app.kubernetes.io/component"]}")
                .Distinct()
                .Order(StringComparer.Ordinal)
        );
        // All of the jobs, with all that they name, and the one Deployment that goes first.
        Assert.All(
            Objects.Where(o => $"{o["kind"]}" == "Job"),
            o => Assert.Equal("migration", $"{o["metadata"]["labels"]["app.kubernetes.io/component"]}")
        );
        Assert.All(
            Items(Kustomization["configMapGenerator"]),
            g => Assert.Equal("settings", $"{g["options"]["labels"]["app.kubernetes.io/component"]}")
        );
        Assert.Equal(
            Objects.Where(o => $"{o["kind"]}" == "Deployment").Select(Name).Where(name => name != CommandLine),
            lines.SelectMany(l => Regex.Matches(l, "deployment/(?<name>[a-z-]+)")).Select(m => m.Groups["name"].Value)
        );
        int At(string text) => upgrade.IndexOf(text, StringComparison.Ordinal);
        int[] order =
        [
            At("delete job"),
            At("(settings, migration)"),
            At("wait --for=condition=complete"),
            At("-f deploy/postgres/roles.sql"),
            At("component=orchestrator"),
            At("deployment/orchestrator"),
            At("deployment/stripe-adapter"),
        ];
        Assert.DoesNotContain(-1, order);
        Assert.Equal(order.Order(), order);
    }

    [Fact]
    public async Task The_autoscalers_metrics_are_exported()
    {
        var exported = await OperatingTests.Exported();
        var asked = Objects
            .Where(o => $"{o["kind"]}" == "HorizontalPodAutoscaler")
            .SelectMany(o => Items(o["spec"]["metrics"]).Select(m => $"{m["external"]["metric"]["name"]}"))
            .Distinct()
            .ToList();

        Assert.Equal(2, asked.Count);
        Assert.All(asked, name => Assert.Contains(name, exported));
        // And each has a rule by which the cluster gets it, which stands beside them.
        Assert.Equal(
            asked.Order(StringComparer.Ordinal),
            Regex
                .Matches(Repository.Read(Kubernetes + "autoscaling.yaml"), "seriesQuery: (?<name>[a-z_]+)")
                .Select(m => m.Groups["name"].Value)
                .Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public void The_mapping_of_the_base_is_the_house_s()
    {
        foreach (
            var file in Repository
                .Files()
                .Where(path => path.StartsWith("config/", StringComparison.Ordinal))
                .Select(path => path["config/".Length..])
        )
        {
            Assert.Equal(Repository.Read($"config/{file}"), Repository.Read($"{Kubernetes}config/{file}"));
            Assert.Contains(
                Items(Kustomization["configMapGenerator"]),
                g =>
                    Map(g).Children.TryGetValue("files", out var files)
                    && Items(files).Any(f => $"{f}" == $"{file}=config/{file}")
            );
        }
    }

    [Fact]
    public void Every_file_that_compose_mounts_is_there_and_every_volume_is_declared()
    {
        var declared = Map(Compose["volumes"]).Children.Keys.Select(k => $"{k}").ToList();
        // The short form; what is written long names a file of whoever runs it.
        var mounts = Services
            .SelectMany(s => Items(Merged(s.Service, "volumes") ?? new YamlSequenceNode()))
            .OfType<YamlScalarNode>()
            .Select(v => $"{v}".Split(':')[0])
            .ToList();

        Assert.Empty(mounts.Where(m => m[0] == '.' && !Path.Exists(Path.Combine(Repository.Root, "deploy", m))));
        Assert.Equal(declared.Order(), mounts.Where(m => m[0] != '.').Order());
        Assert.All(
            Services.Where(s => s.Service.Children.ContainsKey("ports")).SelectMany(s => Items(s.Service["ports"])),
            port => Assert.StartsWith("127.0.0.1:", $"{port}", StringComparison.Ordinal)
        );
        var names = Services.Select(s => s.Name).ToHashSet();
        Assert.All(
            Services
                .Select(s => Merged(s.Service, "depends_on"))
                .OfType<YamlMappingNode>()
                .SelectMany(d => d.Children.Keys),
            on => Assert.Contains($"{on}", names)
        );
        // Nobody starts before the script has taken back what it gave with tables that were not there yet.
        Assert.Equal(
            ["migrate-orchestrator", "migrate-salesforce", "migrate-stripe"],
            Map(Services.Single(s => s.Name == "roles").Service["depends_on"])
                .Children.Where(d => $"{d.Value["condition"]}" == "service_completed_successfully")
                .Select(d => $"{d.Key}")
                .Order(StringComparer.Ordinal)
        );
        Assert.All(
            OfOurs.Where(s => Merged(s.Service, "restart") is YamlScalarNode { Value: "unless-stopped" }),
            s =>
                Assert.Equal(
                    "service_completed_successfully",
                    $"{Merged(s.Service, "depends_on")!["roles"]["condition"]}"
                )
        );
        // Whoever is waited for until it is healthy says so.
        Assert.All(
            Services
                .Select(s => Merged(s.Service, "depends_on"))
                .OfType<YamlMappingNode>()
                .SelectMany(d => d.Children)
                .Where(d => $"{d.Value["condition"]}" == "service_healthy"),
            on => Assert.NotNull(Merged(Services.Single(s => s.Name == $"{on.Key}").Service, "healthcheck"))
        );
    }

    [Fact]
    public void Prometheus_scrapes_the_services_on_the_port_of_the_image()
    {
        var jobs = Items(Map(Documents("deploy/prometheus/prometheus.yml").Single())["scrape_configs"]);
        var targets = Items(
            Items(jobs.Single(j => $"{j["job_name"]}" == "sync")["static_configs"]).Single()["targets"]
        );

        Assert.Equal(
            OfOurs
                .Where(s => !IsOnce(s.Service) && s.Name != CommandLine)
                .Select(s => $"{s.Name}:8080")
                .Order(StringComparer.Ordinal),
            targets.Select(t => $"{t}").Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public void The_broker_has_no_topic_but_those_of_the_contract()
    {
        var kafka = Environment(Services.Single(s => s.Name == "kafka").Service);
        Assert.Equal("false", kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"]);
        Assert.Equal("broker,controller", kafka["KAFKA_PROCESS_ROLES"]);
        Assert.All(
            [Literals()["KAFKA__PARTITIONS"], .. OfOurs.Select(s => Environment(s.Service)["KAFKA__PARTITIONS"])],
            partitions => Assert.Equal($"{Topics.Partitions}", partitions)
        );
    }

    static bool IsOnce(YamlMappingNode service) => $"{Merged(service, "restart")}" == "on-failure";

    /// <summary>Containers with their objects' kind and name.</summary>
    static IEnumerable<(string Owner, YamlMappingNode Container)> Containers() =>
        Objects
            .Where(o => $"{o["kind"]}" is "Deployment" or "Job")
            .SelectMany(o =>
                Items(o["spec"]["template"]["spec"]["containers"]).Select(c => ($"{o["kind"]} {Name(o)}", Map(c)))
            );

    static string Name(YamlMappingNode node) => $"{node["metadata"]["name"]}";

    static Dictionary<string, string> Literals() =>
        Items(Kustomization["configMapGenerator"])
            .Select(Map)
            .Where(g => g.Children.ContainsKey("literals"))
            .SelectMany(g => Items(g["literals"]))
            .Select(l => $"{l}".Split('=', 2))
            .ToDictionary(l => l[0], l => l[1]);

    /// <summary>Settings that the image brings.</summary>
    static IEnumerable<string> ImageSettings() =>
        ImageSetting().Matches(Dockerfile).Select(m => m.Groups["name"].Value);

    static Dictionary<string, string> Environment(YamlMappingNode service) =>
        All(Map(Merged(service, "environment")!)).ToDictionary(p => p.Key, p => $"{p.Value}");

    /// <summary>A member of a service, or of what it takes over by <c>&lt;&lt;</c>.</summary>
    static YamlNode? Merged(YamlMappingNode node, string key) =>
        All(node).Where(p => p.Key == key).Select(p => p.Value).FirstOrDefault();

    static IEnumerable<KeyValuePair<string, YamlNode>> All(YamlMappingNode node) =>
        node
            .Children.Where(c => $"{c.Key}" != "<<")
            .Select(c => KeyValuePair.Create($"{c.Key}", c.Value))
            // The first of several wins, as YAML has it.
            .Concat(
                node.Children.Where(c => $"{c.Key}" == "<<")
                    .SelectMany(c => c.Value is YamlSequenceNode several ? Items(several) : [c.Value])
                    .SelectMany(taken => All(Map(taken)))
            )
            .DistinctBy(p => p.Key);

    static YamlMappingNode Map(YamlNode node) => (YamlMappingNode)node;

    static IEnumerable<YamlNode> Items(YamlNode node) => (YamlSequenceNode)node;

    static IEnumerable<YamlNode> Documents(string path)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(Repository.Read(path)));
        return stream.Documents.Select(d => d.RootNode);
    }

    [GeneratedRegex("^#(?<name>[A-Z][A-Z0-9_]+)=", RegexOptions.Multiline)]
    private static partial Regex SettingName();

    [GeneratedRegex("^(?<name>[A-Z][A-Z0-9_]+)=", RegexOptions.Multiline)]
    private static partial Regex SecretName();

    [GeneratedRegex(@"\$\{(?<name>[A-Z0-9_]+)")]
    private static partial Regex Variable();

    [GeneratedRegex("postgresql://(?<role>[a-z_]+):")]
    private static partial Regex Role();

    [GeneratedRegex("\"(?<page>/health/[a-z]+)\"")]
    private static partial Regex Page();

    [GeneratedRegex(@"^(?:ENV)?\s+(?<name>[A-Z]+__[A-Z]+)=", RegexOptions.Multiline)]
    private static partial Regex ImageSetting();
}
