#!/bin/sh
# Makes our own database and its owner; PostgreSQL's image runs it once, when the volume is new.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$DATABASE_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE orchestrator LOGIN PASSWORD :'password';
CREATE DATABASE orchestrator OWNER orchestrator;
SQL
