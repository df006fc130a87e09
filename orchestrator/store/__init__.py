"""What the service keeps: definitions, triggers, deliveries, the index of runs, keys.

On SQLite in the home, or on PostgreSQL. The one importer of SQLAlchemy and Alembic but for `sql.query`.
"""
