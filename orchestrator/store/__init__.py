"""The database of the service: definitions, triggers, deliveries, the run index and API keys.

SQLite in the home directory, or PostgreSQL. Only this package and the action `sql.query` import
SQLAlchemy; only this package imports Alembic.
"""
