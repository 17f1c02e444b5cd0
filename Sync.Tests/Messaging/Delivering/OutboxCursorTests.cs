using Microsoft.Extensions.Time.Testing;
using Sync.Messaging.Outbox;

namespace Sync.Tests.Messaging.Delivering;

public sealed class OutboxCursorTests
{
    readonly FakeTimeProvider _time = new();
    readonly OutboxCursor _cursor;

    public OutboxCursorTests() => _cursor = new(_time);

    [Fact]
    public void It_stays_behind_what_was_seen_within_the_last_minute()
    {
        Assert.Equal(0, _cursor.Next());
        _cursor.Saw(100);
        _time.Advance(TimeSpan.FromSeconds(30));
        _cursor.Saw(200);
        _time.Advance(TimeSpan.FromSeconds(29));

        Assert.Equal(0, _cursor.Next());
        _time.Advance(TimeSpan.FromSeconds(5));
        _cursor.Next();
        Assert.Equal(100, _cursor.Next());
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(200, _cursor.Next());
    }

    [Fact]
    public void It_looks_from_the_start_once_a_minute_and_when_a_row_was_left_behind()
    {
        _cursor.Next();
        _cursor.Saw(100);
        _time.Advance(TimeSpan.FromSeconds(65));

        Assert.Equal(0, _cursor.Next());
        Assert.Equal(100, _cursor.Next());
        _cursor.ScanAll();
        Assert.Equal(0, _cursor.Next());
        Assert.Equal(100, _cursor.Next());
    }
}
