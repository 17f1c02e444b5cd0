-- One role a process, each with no more rights than its work needs, and one for dashboards that reads views alone.
--
--   psql -v ON_ERROR_STOP=1 -d sync -f roles.sql       as a superuser or as one who may create roles, in the database of Sync
--
-- It runs before the first migration and again after each: what it takes from single tables it can take only once they are
-- there. It may run as often as you like, also over an existing installation. Roles get no password here:
-- alter role sync_stripe password '...'. Another prefix than sync_ for a second installation on the same server:
-- PGOPTIONS='-c sync.prefix=test_'. Adapters whose tables are in another database: run it there too.
--
--   sync_owner         owns schemas, tables and views; runs the verb migrate, and nothing else
--   sync_orchestrator  reads and writes rows of schema sync
--   sync_stripe        reads and writes rows of schema stripe
--   sync_salesforce    reads and writes rows of schema salesforce
--   sync_dashboard     reads the views of schema dashboard: no table, so no personal data; cannot write, and waits for no lock
--   sync_operator      what ./sync ... on the command line needs: the rows of all processes, with personal data. For people
do $roles$
declare
  prefix  text := coalesce(nullif(current_setting('sync.prefix', true), ''), 'sync_');
  owner   text := prefix || 'owner';
  process text;
  role    text;
begin
  foreach role in array array['owner', 'orchestrator', 'stripe', 'salesforce', 'dashboard', 'operator'] loop
    if not exists (select from pg_roles where rolname = prefix || role) then
      execute format('create role %I', prefix || role);
    end if;
    execute format('alter role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls', prefix || role);
    execute format('grant connect on database %I to %I', current_database(), prefix || role);
  end loop;

  -- What everybody may do by default, nobody needs here.
  execute format('revoke create, temporary, connect on database %I from public', current_database());
  execute 'revoke create on schema public from public';
  -- A migration makes what is missing; a schema that is there needs no such right, and a new system brings one.
  execute format('grant create, temporary on database %I to %I', current_database(), owner);

  -- What follows is done to things that sync_owner owns.
  if not (select rolsuper from pg_roles where rolname = session_user) then
    execute format('grant %I to %I', owner, session_user);
  end if;

  foreach process in array array['orchestrator', 'stripe', 'salesforce'] loop
    declare
      schema text := case process when 'orchestrator' then 'sync' else process end;
      thing  record;
    begin
      role := prefix || process;
      if to_regnamespace(schema) is null then
        execute format('create schema %I authorization %I', schema, owner);
      end if;
      execute format('alter schema %I owner to %I', schema, owner);
      -- An installation from before there were roles belongs to somebody else.
      for thing in select format(case c.relkind when 'v' then 'alter view %I.%I owner to %I' else 'alter table %I.%I owner to %I' end,
                                 schema, c.relname, owner) as change
                     from pg_class c where c.relnamespace = to_regnamespace(schema) and c.relkind in ('r', 'v')
                      and c.relowner <> to_regrole(owner) loop
        execute thing.change;
      end loop;
      for thing in select format('alter function %s owner to %I', p.oid::regprocedure, owner) as change
                     from pg_proc p where p.pronamespace = to_regnamespace(schema) and p.proowner <> to_regrole(owner) loop
        execute thing.change;
      end loop;

      execute format('grant usage on schema %I to %I', schema, role);
      execute format('grant select, insert, update, delete on all tables in schema %I to %I', schema, role);
      execute format('revoke insert, update, delete on all tables in schema %I from public', schema);
      execute format('revoke execute on all functions in schema %I from public', schema);
      execute format('grant execute on all functions in schema %I to %I', schema, role);
      -- And for what later migrations make.
      execute format('alter default privileges for role %I in schema %I grant select, insert, update, delete on tables to %I', owner, schema, role);
      execute format('alter default privileges for role %I in schema %I grant execute on functions to %I', owner, schema, role);
      -- How far migrations went is a process's to read and the owner's to write.
      if to_regclass(format('%I.migrations_history', schema)) is not null then
        execute format('revoke insert, update, delete on %I.migrations_history from %I', schema, role);
      end if;

      execute format('grant %I to %I', role, prefix || 'operator');
    end;
  end loop;

  if to_regnamespace('dashboard') is null then
    execute format('create schema dashboard authorization %I', owner);
  end if;
  execute format('alter schema dashboard owner to %I', owner);
  declare
    thing record;
  begin
    for thing in select format('alter view dashboard.%I owner to %I', c.relname, owner) as change
                   from pg_class c where c.relnamespace = 'dashboard'::regnamespace and c.relkind = 'v'
                    and c.relowner <> to_regrole(owner) loop
      execute thing.change;
    end loop;
    for thing in select format('alter function %s owner to %I', p.oid::regprocedure, owner) as change
                   from pg_proc p where p.pronamespace = 'dashboard'::regnamespace and p.proowner <> to_regrole(owner) loop
      execute thing.change;
    end loop;
  end;
  foreach process in array array['dashboard', 'orchestrator', 'operator'] loop
    role := prefix || process;
    execute format('grant usage on schema dashboard to %I', role);
    execute format('grant select on all tables in schema dashboard to %I', role);
    execute format('alter default privileges for role %I in schema dashboard grant select on tables to %I', owner, role);
  end loop;

  -- The view of latencies calls it, with the rights of whoever looks; without usage of its schema nobody calls it otherwise.
  if to_regprocedure('sync.lag_bucket(bigint)') is not null then
    execute format('grant execute on function sync.lag_bucket(bigint) to %I', prefix || 'dashboard');
  end if;

  -- A look is a look: it cannot write, and one that takes too long ends.
  role := prefix || 'dashboard';
  execute format('alter role %I set default_transaction_read_only = on', role);
  execute format('alter role %I set statement_timeout = %L', role, '10s');
  execute format('alter role %I set lock_timeout = %L', role, '1s');
  execute format('alter role %I set idle_in_transaction_session_timeout = %L', role, '10s');
  execute format('alter role %I connection limit 20', role);
  -- Compiling a query costs more than these take.
  execute format('alter role %I set jit = off', role);
end $roles$;
