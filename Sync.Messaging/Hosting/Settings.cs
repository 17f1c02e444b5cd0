using System.ComponentModel.DataAnnotations;
using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Sync.Messaging.Hosting;

public static class SettingsExtensions
{
    /// <summary>
    /// Binds a class of settings to its section and checks it before anything starts: each fault of each class is named at
    /// once, by the name of its environment variable and never with its value. Attributes check one setting, and
    /// <see cref="IValidatableObject"/> what spans several. A name that nobody knows is a fault too: misspelt, it would
    /// leave its default in force without a word.
    /// </summary>
    public static IServiceCollection AddSettings<TOptions>(this IServiceCollection services, string section)
        where TOptions : class
    {
        if (services.Any(d => d.ServiceType == typeof(SettingsSetup<TOptions>)))
            return services;
        services.AddSingleton(new SettingsSection(section, typeof(TOptions)));
        services.TryAddSingleton(p => new SettingsSetup<TOptions>(
            p.GetRequiredService<IConfiguration>(),
            section,
            p.GetServices<SettingsSection>()
        ));
        services.AddSingleton<IConfigureOptions<TOptions>>(p => p.GetRequiredService<SettingsSetup<TOptions>>());
        services.AddSingleton<IValidateOptions<TOptions>>(p => p.GetRequiredService<SettingsSetup<TOptions>>());
        services.AddOptions<TOptions>().ValidateOnStart();
        return services;
    }
}

/// <summary>A section and one of the classes that are bound to it.</summary>
sealed record SettingsSection(string Name, Type Options)
{
    public IEnumerable<string> Settings =>
        Options.GetProperties().Where(p => p.SetMethod is not null).Select(p => p.Name);
}

/// <summary>
/// Binds property by property. The framework's binder stops at the first value that it cannot convert, quotes it, and
/// hides the other faults.
/// </summary>
sealed class SettingsSetup<TOptions>(
    IConfiguration configuration,
    string section,
    IEnumerable<SettingsSection> sections
) : IConfigureOptions<TOptions>, IValidateOptions<TOptions>
    where TOptions : class
{
    readonly List<string> _unreadable = [];

    public void Configure(TOptions options)
    {
        lock (_unreadable)
        {
            _unreadable.Clear();
            foreach (var property in typeof(TOptions).GetProperties().Where(p => p.SetMethod is not null))
                Bind(options, property, configuration.GetSection(section).GetSection(property.Name));
        }
    }

    public ValidateOptionsResult Validate(string? name, TOptions options)
    {
        var context = new ValidationContext(options);
        var results = new List<ValidationResult>();
        Validator.TryValidateObject(options, context, results, validateAllProperties: true);
        // The validator asks the object itself only once its attributes are satisfied; all faults are wanted at once.
        if (results.Count > 0 && options is IValidatableObject whole)
            results.AddRange(whole.Validate(context));

        lock (_unreadable)
        {
            List<string> faults =
            [
                .. _unreadable,
                .. Unknown(),
                .. results.Select(r => $"{Name(r.MemberNames.FirstOrDefault())}: {r.ErrorMessage}"),
            ];
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults.Distinct());
        }
    }

    /// <summary>
    /// Named by the first of the classes that share the section. Of the common section every process reads a part of its
    /// own, so a name that this one does not know may be another's.
    /// </summary>
    IEnumerable<string> Unknown()
    {
        if (section.Equals(ReplicaOptions.Section, StringComparison.OrdinalIgnoreCase))
            return [];
        var shared = sections.Where(s => s.Name.Equals(section, StringComparison.OrdinalIgnoreCase)).ToList();
        if (shared[0].Options != typeof(TOptions))
            return [];
        var known = shared.SelectMany(s => s.Settings).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return configuration
            .GetSection(section)
            .GetChildren()
            .Where(child => !known.Contains(child.Key) && !string.IsNullOrWhiteSpace(child.Value ?? "set"))
            .Select(child => $"{Name(child.Key)}: is no setting of this process; .env.example lists all");
    }

    void Bind(TOptions options, PropertyInfo property, IConfigurationSection value)
    {
        // An empty variable is an unset one: a compose file passes on what its reader left blank.
        if (!value.Exists() || (value.Value is { } text && string.IsNullOrWhiteSpace(text)))
            return;
        try
        {
            property.SetValue(options, value.Get(property.PropertyType));
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or ArgumentException)
        {
            _unreadable.Add($"{Name(property.Name)}: is not {Kind(property.PropertyType)}");
        }
    }

    string Name(string? property) =>
        property is null ? section.ToUpperInvariant() : $"{section}__{property}".ToUpperInvariant();

    static string Kind(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type.IsEnum)
            return $"one of {string.Join(", ", Enum.GetNames(type))}";
        if (type == typeof(bool))
            return "true or false";
        if (type == typeof(TimeSpan))
            return "a duration such as 00:00:30";
        return type.IsPrimitive || type == typeof(decimal) ? "a number that fits" : "readable";
    }
}
