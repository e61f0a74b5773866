"""The operational ledger: SQLAlchemy Core tables with Alembic migrations."""
