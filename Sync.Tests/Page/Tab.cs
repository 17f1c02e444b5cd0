using System.Text.Json;
using System.Text.Json.Nodes;
using Sync.Tests.Support;

namespace Sync.Tests.Page;

/// <summary>One page in the browser, used as a person uses it: by what it is called, by keys, and by looking.</summary>
sealed class Tab(Browser browser, string session, string target) : IAsyncDisposable
{
    /// <summary>Controls by their accessible name; what is hidden or behind an open dialog is not there for a person.</summary>
    const string Finder = """
        (role, name) => {
          const layer = document.querySelector('dialog[open]') ?? document;
          const called = node =>
            node.getAttribute('aria-label') ??
            (node.labels?.length ? [...node.labels].map(label => label.textContent.trim()).join(' ') : node.textContent.trim());
          const kinds = { button: 'button:not([role])', switch: '[role=switch]', field: 'input' };
          return [...layer.querySelectorAll(kinds[role])].filter(
            node => called(node) === name && node.checkVisibility() && !node.disabled);
        }
        """;

    public Task<JsonNode> Call(string method, JsonObject? parameters = null) =>
        browser.Call(method, parameters, session);

    public Task Resize(int width, int height) =>
        Call(
            "Emulation.setDeviceMetricsOverride",
            new()
            {
                ["width"] = width,
                ["height"] = height,
                ["deviceScaleFactor"] = 1,
                ["mobile"] = width < 600,
            }
        );

    /// <summary>As somebody has set it up who wants pages <c>light</c> or <c>dark</c>.</summary>
    public Task Prefer(string scheme) =>
        Call(
            "Emulation.setEmulatedMedia",
            new()
            {
                ["features"] = new JsonArray(
                    new JsonObject { ["name"] = "prefers-color-scheme", ["value"] = scheme },
                    // What fades is in the picture as it ends.
                    new JsonObject { ["name"] = "prefers-reduced-motion", ["value"] = "reduce" }
                ),
            }
        );

    /// <summary>The whole page as it looks now, as a picture for people.</summary>
    public async Task Picture(string file)
    {
        var picture = await Call(
            "Page.captureScreenshot",
            new() { ["format"] = "png", ["captureBeyondViewport"] = true }
        );
        await File.WriteAllBytesAsync(
            file,
            Convert.FromBase64String((string)picture["data"]!),
            TestContext.Current.CancellationToken
        );
    }

    /// <summary>What an expression of JavaScript is worth there.</summary>
    public async Task<JsonNode?> Evaluate(string expression)
    {
        var answer = await Call(
            "Runtime.evaluate",
            new()
            {
                ["expression"] = expression,
                ["returnByValue"] = true,
                ["awaitPromise"] = true,
            }
        );
        if (answer["exceptionDetails"] is { } wrong)
            throw new InvalidOperationException(wrong.ToJsonString());
        return answer["result"]!["value"];
    }

    public async Task<bool> Is(string expression) => (bool?)await Evaluate($"Boolean({expression})") is true;

    public async Task<string?> Text(string expression) => (string?)await Evaluate(expression);

    /// <summary>Waits until an expression is true.</summary>
    public Task Sees(string expression) => Eventually.Is(() => Is(expression), expression);

    /// <summary>Clicks the one control with this name, with the mouse and where it is.</summary>
    public async Task Click(string role, string name)
    {
        // What moves at this moment is not clicked at: whoever looks waits until it stands still.
        var place = JsonNode.Parse(
            (
                await Eventually.Get(
                    () =>
                        Text(
                            $$"""
                            (async () => {
                              const there = ({{Finder}})({{Quote(role)}}, {{Quote(name)}});
                              if (there.length !== 1) return null;
                              const [node] = there;
                              node.scrollIntoView({ block: 'center' });
                              const before = node.getBoundingClientRect();
                              await new Promise(next => requestAnimationFrame(() => requestAnimationFrame(next)));
                              const box = node.getBoundingClientRect();
                              const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                              const still = before.x === box.x && before.y === box.y;
                              return still && node.contains(document.elementFromPoint(x, y)) ? JSON.stringify({ x, y }) : null;
                            })()
                            """
                        ),
                    place => place is not null,
                    $"there is one {role} called \"{name}\" that a mouse can reach"
                )
            )!
        )!;
        foreach (var type in (string[])["mousePressed", "mouseReleased"])
            await Call(
                "Input.dispatchMouseEvent",
                new()
                {
                    ["type"] = type,
                    ["x"] = (double)place["x"]!,
                    ["y"] = (double)place["y"]!,
                    ["button"] = "left",
                    ["clickCount"] = 1,
                }
            );
    }

    /// <summary>Puts the focus into the field with this name and types over what is there.</summary>
    public async Task Fill(string name, string text)
    {
        await Control("field", name);
        await Evaluate($"(field => {{ field.focus(); field.select(); }})(({Finder})('field', {Quote(name)})[0])");
        if (text.Length == 0)
            await Press("Backspace");
        else
            await Type(text);
    }

    public Task Type(string text) => Call("Input.insertText", new() { ["text"] = text });

    /// <summary>One key: Tab, Shift+Tab, Enter, Escape, Backspace or the space bar.</summary>
    public async Task Press(string key)
    {
        var shift = key.StartsWith("Shift+", StringComparison.Ordinal);
        var (name, code, text) = (shift ? key[6..] : key) switch
        {
            "Tab" => ("Tab", 9, null),
            "Enter" => ("Enter", 13, "\r"),
            "Escape" => ("Escape", 27, null),
            "Backspace" => ("Backspace", 8, null),
            "Space" => (" ", 32, " "),
            _ => throw new ArgumentOutOfRangeException(nameof(key), key, "is no key that is pressed here"),
        };
        foreach (var type in (string[])["keyDown", "keyUp"])
        {
            var parameters = new JsonObject
            {
                ["type"] = type,
                ["key"] = name,
                ["code"] = name == " " ? "Space" : name,
                ["windowsVirtualKeyCode"] = code,
                ["modifiers"] = shift ? 8 : 0,
            };
            if (type == "keyDown" && text is not null)
                parameters["text"] = text;
            await Call("Input.dispatchKeyEvent", parameters);
        }
    }

    /// <summary>Presses Tab until the control with this name has the focus, as somebody without a mouse gets there.</summary>
    public async Task TabTo(string role, string name)
    {
        await Control(role, name);
        for (var presses = 0; presses < 80; presses++)
        {
            if (await Is($"({Finder})({Quote(role)}, {Quote(name)})[0] === document.activeElement"))
                return;
            await Press("Tab");
        }

        Assert.Fail($"Tab does not reach {role} \"{name}\"");
    }

    /// <summary>Waits until there is exactly one control with this name.</summary>
    public Task Control(string role, string name) =>
        Eventually.Is(
            () => Is($"({Finder})({Quote(role)}, {Quote(name)}).length === 1"),
            $"there is one {role} called \"{name}\""
        );

    public Task<bool> HasFocus(string role, string name) =>
        Is($"({Finder})({Quote(role)}, {Quote(name)})[0] === document.activeElement");

    public static string Quote(string text) => JsonSerializer.Serialize(text);

    public async ValueTask DisposeAsync() => await browser.Call("Target.closeTarget", new() { ["targetId"] = target });
}
