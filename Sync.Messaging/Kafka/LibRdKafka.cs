using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using Confluent.Kafka;

namespace Sync.Messaging.Kafka;

/// <summary>The calls of librdkafka that Confluent.Kafka ships but does not wrap.</summary>
static partial class LibRdKafka
{
    const string Name = "librdkafka";
    const int ConfOk = 0;
    const int PurgeQueue = 1;
    const int PurgeInFlight = 2;

    static LibRdKafka()
    {
        // Confluent's loader may have fallen back to another build of the library (no libsasl2.so.3 on Debian 12): use
        // the one that it uses, in its order.
        _ = Library.Version;
        nint library = 0;
        foreach (var name in (ReadOnlySpan<string>)["librdkafka", "centos8-librdkafka", "alpine-librdkafka"])
        {
            if (NativeLibrary.TryLoad(name, typeof(Library).Assembly, null, out library))
                break;
        }

        NativeLibrary.SetDllImportResolver(Assembly.GetExecutingAssembly(), (name, _, _) => name == Name ? library : 0);
    }

    /// <summary>The id of the cluster that a client talks to; null when it does not tell within the time.</summary>
    public static string? ClusterId(Handle client, TimeSpan timeout) =>
        With(
            client,
            native =>
            {
                var text = ClusterIdOf(native, (int)timeout.TotalMilliseconds);
                if (text == 0)
                    return null;
                var id = Marshal.PtrToStringUTF8(text);
                MemFree(native, text);
                return id;
            }
        );

    /// <summary>A producer drops what it has not sent, and stops waiting for what is under way; each message reports so.</summary>
    public static void Purge(Handle producer) => With(producer, native => PurgeOf(native, PurgeQueue | PurgeInFlight));

    /// <summary>What librdkafka has against a setting; null when it takes it.</summary>
    public static string? Problem(string name, string value)
    {
        var conf = ConfNew();
        try
        {
            var error = new byte[512];
            if (ConfSet(conf, name, value, error, (nuint)error.Length) == ConfOk)
                return null;
            return IsSecret(name)
                ? $"librdkafka refuses {name}"
                : Encoding.UTF8.GetString(error.AsSpan(0, Array.IndexOf(error, (byte)0)));
        }
        finally
        {
            ConfDestroy(conf);
        }
    }

    /// <summary>Confluent.Kafka keeps the native handle to itself; default where a release of it no longer has this property.</summary>
    static T? With<T>(Handle client, Func<nint, T> call)
    {
        if (
            typeof(Handle)
                .GetProperty("LibrdkafkaHandle", BindingFlags.Instance | BindingFlags.NonPublic)
                ?.GetValue(client)
            is not SafeHandle native
        )
        {
            return default;
        }

        var added = false;
        try
        {
            native.DangerousAddRef(ref added);
            return call(native.DangerousGetHandle());
        }
        finally
        {
            if (added)
                native.DangerousRelease();
        }
    }

    static bool IsSecret(string name) =>
        name.Contains("password", StringComparison.Ordinal)
        || name.Contains("key", StringComparison.Ordinal)
        || name.Contains("secret", StringComparison.Ordinal)
        || name.Contains("jaas", StringComparison.Ordinal)
        || name.Contains("oauth", StringComparison.Ordinal);

    [LibraryImport(Name, EntryPoint = "rd_kafka_conf_new")]
    private static partial nint ConfNew();

    [LibraryImport(Name, EntryPoint = "rd_kafka_conf_destroy")]
    private static partial void ConfDestroy(nint conf);

    [LibraryImport(Name, EntryPoint = "rd_kafka_conf_set", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ConfSet(nint conf, string name, string value, Span<byte> error, nuint errorSize);

    [LibraryImport(Name, EntryPoint = "rd_kafka_clusterid")]
    private static partial nint ClusterIdOf(nint client, int timeoutMs);

    [LibraryImport(Name, EntryPoint = "rd_kafka_purge")]
    private static partial int PurgeOf(nint client, int flags);

    [LibraryImport(Name, EntryPoint = "rd_kafka_mem_free")]
    private static partial void MemFree(nint client, nint pointer);
}
