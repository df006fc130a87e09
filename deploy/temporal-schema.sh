#!/bin/sh
# Makes Temporal's two databases, or brings them up to date. The password comes by SQL_PASSWORD.
set -eu
for database in temporal temporal_visibility; do
    case $database in
        temporal) kind=temporal ;;
        *) kind=visibility ;;
    esac
    tool() {
        temporal-sql-tool --plugin postgres12_pgx --endpoint "$SQL_HOST" --port "$SQL_PORT" --user "$SQL_USER" \
            --database "$database" "$@"
    }
    tool create-database
    tool setup-schema --version 0.0
    tool update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$kind/versioned"
done
