#!/bin/sh
# Gives each role the password that its process has: run by the image of PostgreSQL when its volume is made, and after every
# migration, each time after roles.sql. Passwords reach psql by its environment, so that they stand on no command line.
set -eu
for role in OWNER ORCHESTRATOR STRIPE SALESFORCE DASHBOARD OPERATOR; do
  eval "password=\${SYNC_${role}_PASSWORD:?is not set}"
  ROLE=sync_$(printf %s "$role" | tr '[:upper:]' '[:lower:]') PASSWORD=$password \
    psql -v ON_ERROR_STOP=1 -q -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
\getenv role ROLE
\getenv password PASSWORD
select format('alter role %I password %L', :'role', :'password') \gexec
SQL
done
