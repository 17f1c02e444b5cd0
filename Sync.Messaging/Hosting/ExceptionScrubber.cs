using System.Diagnostics;
using System.Reflection;
using OpenTelemetry;

namespace Sync.Messaging.Hosting;

/// <summary>
/// Takes the message texts of exceptions out of spans before they are exported: libraries record them whole, and a text
/// can repeat a value of a message.
/// </summary>
sealed class ExceptionScrubber : BaseProcessor<Activity>
{
    // An activity's events can only be added to; the list itself has to go.
    static readonly FieldInfo? Events = typeof(Activity).GetField(
        "_events",
        BindingFlags.Instance | BindingFlags.NonPublic
    );

    public override void OnEnd(Activity data)
    {
        if (data.StatusDescription is { Length: > 0 })
            data.SetStatus(data.Status);
        if (!data.Events.Any(HasText))
            return;
        if (Events is null)
        {
            // A runtime that keeps events elsewhere: the span is not exported rather than exported with the text.
            data.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
            return;
        }

        var events = data.Events.ToList();
        Events.SetValue(data, null);
        foreach (var e in events)
            data.AddEvent(
                HasText(e) ? new ActivityEvent(e.Name, e.Timestamp, [.. e.Tags.Where(t => !IsText(t.Key))]) : e
            );
    }

    static bool HasText(ActivityEvent e) => e.Tags.Any(t => IsText(t.Key));

    static bool IsText(string name) => name is "exception.message" or "exception.stacktrace";
}
