"""What is remembered: the mind after each slot, lessons of closed trades, and proposals from outside the cycle."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# Rows of a backtest go when it is walked again; all others stay as they are.
HISTORY = ("lessons", "minds", "proposals")


def upgrade() -> None:
    """Adds the tables and the decision's digest of its mind; the new tables are history like the others."""
    op.add_column("decisions", sa.Column("mind_digest", Words, nullable=False, server_default=sa.text("''")))
    op.create_table(
        "minds",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("slot", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.Column("mind", Words, nullable=False),
        sa.Column("digest", Words, nullable=False),
        sa.UniqueConstraint("book", "session", "slot", name="one_mind_per_slot"),
    )
    op.create_index("minds_by_instant", "minds", ["book", "at"])
    op.create_table(
        "lessons",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("id", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("resolved_at", Words, nullable=False),
        sa.Column("symbol", Words, nullable=False),
        sa.Column("strategy", Words, nullable=False),
        sa.Column("regime", Words, nullable=False),
        sa.Column("lesson", Words, nullable=False),
        sa.UniqueConstraint("book", "id", name="one_lesson_per_trade"),
    )
    op.create_index("lessons_by_instant", "lessons", ["book", "resolved_at"])
    op.create_table(
        "proposals",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("id", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.Column("proposal", Words, nullable=False),
        sa.UniqueConstraint("book", "id", name="one_proposal_per_id"),
    )
    op.create_index("proposals_by_instant", "proposals", ["book", "at"])
    op.create_index("fills_by_session", "fills", ["book", "session"])
    op.create_index("fills_by_symbol", "fills", ["book", "symbol", "seq"])
    op.create_index("dividends_by_symbol", "dividends", ["book", "symbol", "seq"])
    op.create_index("intents_by_symbol", "intents", ["book", "symbol", "seq"])
    for table in HISTORY:
        _GUARDS[op.get_bind().dialect.name](table)


def downgrade() -> None:
    """There is no way back."""
    raise RuntimeError("a ledger is never downgraded; restore the backup of the older version")


def _guard_sqlite(table: str) -> None:
    rules = (
        ("stay", "update", "1", "its rows are never changed"),
        ("remain", "delete", "not (old.book = 'backtest')", "this row is not deleted"),
    )
    for name, event, when, sentence in rules:
        op.execute(
            f"create trigger {table}_{name} before {event} on {table} when {when} "
            f"begin select raise(abort, '{table} is append-only: {sentence}'); end"
        )


def _guard_postgresql(table: str) -> None:
    """What it refuses is a broken constraint."""
    op.execute(
        f"create function {table}_stay() returns trigger language plpgsql set search_path from current as $$ begin "
        f"if tg_level = 'ROW' then if tg_op = 'DELETE' and (old.book = 'backtest') then return old; end if; end if;"
        f" raise exception '{table} is append-only: % is refused', lower(tg_op) using errcode = '23000'; end $$"
    )
    op.execute(
        f"create trigger {table}_stay before update or delete on {table} for each row execute function {table}_stay()"
    )
    op.execute(f"create trigger {table}_remain before truncate on {table} execute function {table}_stay()")


_GUARDS = {"sqlite": _guard_sqlite, "postgresql": _guard_postgresql}
