using System.Collections;
using System.Linq.Expressions;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using Npgsql;

namespace Sync.Messaging.Sagas;

/// <summary>
/// One column of a saga's table, from the EF model: how its value is taken from an instance, put into one, read and sent.
/// What it hands out shares nothing with the instance, so a later change of the instance does not reach it.
/// </summary>
sealed partial class SagaColumn
{
    readonly Func<object, object?> _get;
    readonly Action<object, object?> _set;
    readonly Func<NpgsqlDataReader, int, object> _read;
    readonly ValueConverter? _converter;
    readonly ValueComparer _comparer;
    readonly Type _parameterType;
    readonly bool _isArray;

    SagaColumn(IProperty property, string name)
    {
        var mapping = property.GetTypeMapping();
        Name = name;
        StoreType = Facets().Replace(property.GetColumnType(), "");
        _converter = mapping.Converter;
        _comparer = property.GetValueComparer();
        var providerType = _converter?.ProviderClrType ?? property.ClrType;
        providerType = Nullable.GetUnderlyingType(providerType) ?? providerType;
        _isArray = StoreType.EndsWith("[]", StringComparison.Ordinal);
        _parameterType =
            _isArray ? typeof(string)
            : providerType.IsValueType ? typeof(Nullable<>).MakeGenericType(providerType)
            : providerType;
        _get = Getter(property);
        _set = Setter(property);
        _read = typeof(SagaColumn)
            .GetMethod(nameof(ReadAs), BindingFlags.Static | BindingFlags.NonPublic)!
            .MakeGenericMethod(providerType)
            .CreateDelegate<Func<NpgsqlDataReader, int, object>>();
    }

    public string Name { get; }

    public string StoreType { get; }

    /// <summary>As the server sees the parameter: an array inside an array travels as its text.</summary>
    public string ParameterStoreType => _isArray ? "text" : StoreType;

    /// <exception cref="InvalidOperationException">The model maps the property in a way that the kernel does not write.</exception>
    public static SagaColumn? From(IProperty property, StoreObjectIdentifier table)
    {
        if (property.GetColumnName(table) is not { } name || property.GetComputedColumnSql(table) is not null)
            return null;
        if (property.IsShadowProperty())
            return property.IsNullable
                ? null
                : throw new InvalidOperationException(
                    $"{property.DeclaringType.DisplayName()}.{property.Name} is a required shadow property; give the saga a property for it"
                );

        var column = new SagaColumn(property, name);
        if (column.StoreType is "json" or "jsonb" && column._parameterType != typeof(string))
            throw new InvalidOperationException(
                $"{property.DeclaringType.DisplayName()}.{property.Name} is {column.StoreType} without a conversion to text; "
                    + "map it with HasConversion, so that the kernel can keep and compare what is stored"
            );
        return column;
    }

    /// <summary>The value as the store holds it.</summary>
    public object? Get(object instance)
    {
        var value = _get(instance);
        return _converter is null ? Copy(value)
            : value is null && !_converter.ConvertsNulls ? null
            : _converter.ConvertToProvider(value);
    }

    public void Set(object instance, object? stored) =>
        _set(
            instance,
            _converter is null ? Copy(stored)
                : stored is null && !_converter.ConvertsNulls ? null
                : _converter.ConvertFromProvider(stored)
        );

    public object? Read(NpgsqlDataReader reader, int ordinal) =>
        reader.IsDBNull(ordinal) ? null : _read(reader, ordinal);

    public bool Same(object? left, object? right) =>
        (left, right) switch
        {
            (null, null) => true,
            (null, _) or (_, null) => false,
            (byte[] a, byte[] b) => a.AsSpan().SequenceEqual(b),
            _ when _isArray => ArrayLiteral(left) == ArrayLiteral(right),
            _ => left.Equals(right),
        };

    /// <summary>The column's values of many rows, as one array parameter.</summary>
    public NpgsqlParameter Parameter(IReadOnlyList<object?[]> rows, int index)
    {
        var values = Array.CreateInstance(_parameterType, rows.Count);
        for (var i = 0; i < rows.Count; i++)
        {
            var value = rows[i][index];
            values.SetValue(_isArray && value is not null ? ArrayLiteral(value) : value, i);
        }

        return new NpgsqlParameter { Value = values, DataTypeName = ParameterStoreType + "[]" };
    }

    object? Copy(object? value) =>
        value switch
        {
            null or string or ValueType => value,
            byte[] bytes => bytes.Clone(),
            _ => _comparer.Snapshot(value),
        };

    static object ReadAs<T>(NpgsqlDataReader reader, int ordinal)
        where T : notnull => reader.GetFieldValue<T>(ordinal);

    /// <summary>PostgreSQL's text form of a one-dimensional array.</summary>
    static string ArrayLiteral(object value)
    {
        var text = new StringBuilder("{");
        foreach (var element in (IEnumerable)value)
        {
            if (text.Length > 1)
                text.Append(',');
            if (element is null)
            {
                text.Append("NULL");
                continue;
            }

            var item = element is IFormattable formattable
                ? formattable.ToString(null, System.Globalization.CultureInfo.InvariantCulture)
                : element.ToString()!;
            text.Append('"')
                .Append(
                    item.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)
                )
                .Append('"');
        }

        return text.Append('}').ToString();
    }

    static Func<object, object?> Getter(IProperty property)
    {
        var instance = Expression.Parameter(typeof(object));
        var member = Expression.MakeMemberAccess(
            Expression.Convert(instance, property.DeclaringType.ClrType),
            (MemberInfo?)property.PropertyInfo ?? property.FieldInfo!
        );
        return Expression.Lambda<Func<object, object?>>(Expression.Convert(member, typeof(object)), instance).Compile();
    }

    static Action<object, object?> Setter(IProperty property)
    {
        var member = property.PropertyInfo is { CanWrite: true } writable
            ? writable
            : (MemberInfo?)property.FieldInfo
                ?? throw new InvalidOperationException(
                    $"{property.DeclaringType.DisplayName()}.{property.Name} has no setter"
                );
        var instance = Expression.Parameter(typeof(object));
        var value = Expression.Parameter(typeof(object));
        var target = Expression.MakeMemberAccess(Expression.Convert(instance, property.DeclaringType.ClrType), member);
        // Null becomes the default of a value type, as EF would leave it.
        var converted = property.ClrType.IsValueType
            ? (Expression)
                Expression.Condition(
                    Expression.Equal(value, Expression.Constant(null)),
                    Expression.Default(property.ClrType),
                    Expression.Unbox(value, property.ClrType)
                )
            : Expression.Convert(value, property.ClrType);
        return Expression
            .Lambda<Action<object, object?>>(Expression.Assign(target, converted), instance, value)
            .Compile();
    }

    [GeneratedRegex(@"\([^)]*\)", RegexOptions.NonBacktracking)]
    private static partial Regex Facets();
}
