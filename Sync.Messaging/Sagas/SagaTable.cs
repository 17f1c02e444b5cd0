using System.Linq.Expressions;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Npgsql;
using NpgsqlTypes;

namespace Sync.Messaging.Sagas;

/// <summary>A saga as its row holds it: the values of all columns but key and version.</summary>
/// <param name="Version">The store's own: 1 at the insert, +1 at every update.</param>
readonly record struct SagaRow(Guid Id, object?[] Columns, long Version);

/// <summary>
/// The four statements of one saga's table, built once from the EF model. Insert and update are separate on purpose: one
/// upsert for both brings a deleted saga back.
/// </summary>
sealed class SagaTable
{
    readonly SagaColumn[] _columns;
    readonly Func<object> _create;
    readonly Action<object, Guid> _setId;
    readonly string _select;
    readonly string _delete;
    readonly string _insert;
    readonly string _update;

    SagaTable(IEntityType entity, string table, string key, string version, SagaColumn[] columns)
    {
        SagaType = entity.ClrType;
        _columns = columns;
        _create = Expression
            .Lambda<Func<object>>(Expression.Convert(Expression.New(entity.ClrType), typeof(object)))
            .Compile();
        _setId = (instance, id) => ((ISaga)instance).CorrelationId = id;

        string All(string prefix) => string.Concat(columns.Select(c => $", {prefix}{Quoted(c.Name)}"));
        // $1 are the ids and $2 the versions where there are any; the columns follow.
        string Unnest(int first) =>
            string.Concat(columns.Select((c, i) => $", ${first + i}::{c.ParameterStoreType}[]"));
        var names = string.Concat(columns.Select((_, i) => $", c{i}"));
        string Value(SagaColumn column, int i) =>
            column.ParameterStoreType == column.StoreType ? $"u.c{i}" : $"u.c{i}::{column.StoreType}";

        _select =
            $"select s.{key}, s.{version}{All("s.")} from {table} s where s.{key} = any($1) order by s.{key} for no key update";
        _delete =
            $"delete from {table} s using unnest($1::uuid[], $2::bigint[]) d(i, v) where s.{key} = d.i and s.{version} = d.v";
        _insert =
            $"insert into {table} ({key}, {version}{All("")}) "
            + $"select u.i, 1{string.Concat(columns.Select((c, i) => $", {Value(c, i)}"))} "
            + $"from unnest($1::uuid[]{Unnest(2)}) u(i{names}) order by u.i on conflict do nothing";
        _update =
            $"update {table} s set {string.Concat(columns.Select((c, i) => $"{Quoted(c.Name)} = {Value(c, i)}, "))}{version} = s.{version} + 1 "
            + $"from unnest($1::uuid[], $2::bigint[]{Unnest(3)}) u(i, v{names}) where s.{key} = u.i and s.{version} = u.v";
    }

    public Type SagaType { get; }

    /// <exception cref="InvalidOperationException">The model has no such saga, or maps it in a way that the kernel does not write.</exception>
    public static SagaTable From(IModel model, Type sagaType)
    {
        var entity =
            model.FindEntityType(sagaType)
            ?? throw new InvalidOperationException($"{sagaType.Name} is not in the EF model; map it to its table");
        string Fault(string what) => $"saga {sagaType.Name}: {what}";

        if (
            entity.GetTableName() is not { } name
            || entity.GetDirectlyDerivedTypes().Any()
            || entity.BaseType is not null
        )
            throw new InvalidOperationException(Fault("must be mapped to a table of its own"));
        if (sagaType.GetConstructor(Type.EmptyTypes) is null)
            throw new InvalidOperationException(Fault("needs a constructor without parameters"));
        if (entity.GetNavigations().Any() || entity.GetComplexProperties().Any())
            throw new InvalidOperationException(
                Fault("owned, complex and related objects are not written; map them with HasConversion to jsonb")
            );
        var store = StoreObjectIdentifier.Table(name, entity.GetSchema());
        if (entity.FindPrimaryKey() is not { Properties: [{ Name: nameof(ISaga.CorrelationId) } key] })
            throw new InvalidOperationException(Fault("its primary key must be CorrelationId"));
        var version =
            entity.FindProperty("Version")
            ?? throw new InvalidOperationException(
                Fault("needs a property Version of type long for the version check")
            );
        if (version.ClrType != typeof(long) && version.ClrType != typeof(int))
            throw new InvalidOperationException(Fault("Version must be a long or an int"));

        var columns = entity
            .GetProperties()
            .Where(p => p != key && p != version)
            .Select(p => SagaColumn.From(p, store))
            .OfType<SagaColumn>()
            .ToArray();
        return new(
            entity,
            entity.GetSchema() is { } schema ? $"{Quoted(schema)}.{Quoted(name)}" : Quoted(name),
            Quoted(key.GetColumnName(store)!),
            Quoted(version.GetColumnName(store)!),
            columns
        );
    }

    /// <summary>A new object with these values; it shares nothing with them.</summary>
    public object Materialize(Guid id, object?[] columns)
    {
        var instance = _create();
        _setId(instance, id);
        for (var i = 0; i < _columns.Length; i++)
            _columns[i].Set(instance, columns[i]);
        return instance;
    }

    /// <summary>The values of an object; they share nothing with it.</summary>
    public object?[] Read(object instance)
    {
        var values = new object?[_columns.Length];
        for (var i = 0; i < values.Length; i++)
            values[i] = _columns[i].Get(instance);
        return values;
    }

    public bool Same(object?[] left, object?[] right)
    {
        for (var i = 0; i < _columns.Length; i++)
        {
            if (!_columns[i].Same(left[i], right[i]))
                return false;
        }

        return true;
    }

    public NpgsqlBatchCommand Select(Guid[] ids) =>
        new(_select)
        {
            Parameters =
            {
                new() { Value = ids, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Uuid },
            },
        };

    public SagaRow ReadRow(NpgsqlDataReader reader)
    {
        var columns = new object?[_columns.Length];
        for (var i = 0; i < columns.Length; i++)
            columns[i] = _columns[i].Read(reader, i + 2);
        return new(reader.GetGuid(0), columns, reader.GetInt64(1));
    }

    public NpgsqlBatchCommand Delete(IReadOnlyList<SagaRow> rows) =>
        new(_delete) { Parameters = { Ids(rows), Versions(rows) } };

    public NpgsqlBatchCommand Insert(IReadOnlyList<SagaRow> rows) =>
        WithColumns(new(_insert) { Parameters = { Ids(rows) } }, rows);

    public NpgsqlBatchCommand Update(IReadOnlyList<SagaRow> rows) =>
        WithColumns(new(_update) { Parameters = { Ids(rows), Versions(rows) } }, rows);

    NpgsqlBatchCommand WithColumns(NpgsqlBatchCommand command, IReadOnlyList<SagaRow> rows)
    {
        var values = rows.Select(r => r.Columns).ToList();
        for (var i = 0; i < _columns.Length; i++)
            command.Parameters.Add(_columns[i].Parameter(values, i));
        return command;
    }

    static NpgsqlParameter Ids(IReadOnlyList<SagaRow> rows) =>
        new() { Value = rows.Select(r => r.Id).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Uuid };

    static NpgsqlParameter Versions(IReadOnlyList<SagaRow> rows) =>
        new()
        {
            Value = rows.Select(r => r.Version).ToArray(),
            NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint,
        };

    static string Quoted(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
