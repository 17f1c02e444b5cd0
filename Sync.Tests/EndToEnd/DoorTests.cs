using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Sync.Tests.Simulation;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary><c>./sync</c> as a person types it: what it starts is gone when it ends, and the exit code says how it ended.</summary>
[Collection(EndToEndCollection.Name)]
public sealed partial class DoorTests
{
    [Fact]
    public async Task Ctrl_C_leaves_nothing_of_a_run_behind_but_its_logs()
    {
        // Not "up": that one would read a developer's own .env.
        using var demo = Door.Open("demo");
        var said = await demo.Says("[1/");
        var run = Path.Combine(Repository.Root, RunFolder().Match(said).Value);
        Assert.True(Carrying(run).Count >= 4, "the sandbox and three processes run");
        var database = (await File.ReadAllTextAsync(Path.Combine(run, "postgres"))).Trim();
        Assert.True(Directory.Exists(database));

        demo.Interrupt();

        Assert.Equal(130, await demo.Ended());
        Assert.Empty(Carrying(run));
        Assert.False(Directory.Exists(database));
        Assert.NotEmpty(Directory.EnumerateFiles(Path.Combine(run, "logs")));
    }

    [Fact]
    public async Task A_verb_that_is_not_there_is_an_error_that_names_those_that_are()
    {
        using var door = Door.Open("dmeo");

        Assert.Equal(1, await door.Ended());
        Assert.Contains("there is no \"dmeo\"", door.Said, StringComparison.Ordinal);
        Assert.Contains("./sync demo", door.Said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_profile_of_the_simulation_that_is_not_there_is_refused_before_the_build_with_those_that_are()
    {
        foreach (var typo in (string[])["typo", "late", "plain\", \"long"])
        {
            using var door = Door.Open("simulate", "--profile", typo);

            Assert.Equal(1, await door.Ended());
            var names = string.Join(", ", Profile.All.Select(p => $"\"{p.Name}\""));
            Assert.Equal($"sync: there is no profile \"{typo}\"; there are {names}", door.Said.TrimEnd());
        }
    }

    [Fact]
    public async Task A_test_run_that_tests_nothing_has_failed_and_says_so_in_its_last_line()
    {
        using var test = Door.Open("test", "-class", "Sync.Tests.NoSuchTests");

        Assert.Equal(1, await test.Ended());
        Assert.Equal("0 passed, 0 failed, 0 skipped", test.Said.TrimEnd().Split('\n')[^1]);
    }

    /// <summary>Processes that carry the mark of a run.</summary>
    static List<string> Carrying(string run)
    {
        var mark = $"SYNC_RUN={run}";
        List<string> found = [];
        foreach (
            var process in Directory.EnumerateDirectories("/proc").Where(d => char.IsDigit(Path.GetFileName(d)[0]))
        )
        {
            try
            {
                if (File.ReadAllText(Path.Combine(process, "environ")).Split('\0').Contains(mark))
                    found.Add(Path.GetFileName(process));
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                // It ended while it was looked at, or is somebody else's.
            }
        }

        return found;
    }

    [GeneratedRegex(@"\.sync/run/demo\.\w+", RegexOptions.NonBacktracking)]
    private static partial Regex RunFolder();

    sealed class Door : IDisposable
    {
        readonly Process _process;
        readonly StringBuilder _said = new();

        Door(Process process) => _process = process;

        public string Said
        {
            get
            {
                lock (_said)
                    return _said.ToString();
            }
        }

        public static Door Open(params string[] arguments)
        {
            var start = new ProcessStartInfo(Path.Combine(Repository.Root, "sync"), arguments)
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            // As a person's shell has it: the run that tests is none of its business.
            foreach (var name in (string[])["SYNC_RUN", "SYNC_TEST_POSTGRES", "SYNC_TEST_KAFKA", "SYNC_TEST_TIMEOUT"])
                start.Environment.Remove(name);
            var door = new Door(new Process { StartInfo = start });
            door._process.OutputDataReceived += (_, line) => door.Add(line.Data);
            door._process.ErrorDataReceived += (_, line) => door.Add(line.Data);
            door._process.Start();
            door._process.StandardInput.Close();
            door._process.BeginOutputReadLine();
            door._process.BeginErrorReadLine();
            return door;
        }

        public Task<string> Says(string text) =>
            Eventually.Get(
                () => Task.FromResult(Said),
                said =>
                    said.Contains(text, StringComparison.Ordinal)
                    || (_process.HasExited ? throw new InvalidOperationException(said) : false),
                text
            );

        public void Interrupt()
        {
            using var kill = Process.Start("kill", ["-INT", $"{_process.Id}"]);
            kill.WaitForExit();
        }

        public async Task<int> Ended()
        {
            await _process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(4));
            return _process.ExitCode;
        }

        public void Dispose()
        {
            if (!_process.HasExited)
                Interrupt();
            _process.Dispose();
        }

        void Add(string? line)
        {
            // The end of a stream is no line: standard output may end before the one line of standard error comes.
            if (line is null)
                return;
            lock (_said)
                _said.Append(line).Append('\n');
        }
    }
}
