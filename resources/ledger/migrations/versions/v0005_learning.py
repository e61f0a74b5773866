"""Learning: proposals and their answers, experiments and their ends, which are history; health checks, which are not."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
HISTORY = ("parameter_proposals", "proposal_answers", "experiment_designs", "experiment_ends")


def upgrade() -> None:
    """Adds the tables and the guards of those that are history."""
    op.create_table(
        "parameter_proposals",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("id", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("name", Words, nullable=False),
        sa.Column("before", Words, nullable=False),
        sa.Column("after", Words, nullable=False),
        sa.Column("origin", Words, nullable=False),
        sa.Column("reason", Words, nullable=False),
        sa.Column("evidence", Words, nullable=False),
        sa.Column("observations", sa.Integer, nullable=False),
        sa.Column("lapses", sa.Date, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.UniqueConstraint("book", "id", name="one_parameter_proposal_per_id"),
    )
    op.create_table(
        "proposal_answers",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("proposal_id", Words, nullable=False),
        sa.Column("answer", Words, nullable=False),
        sa.Column("who", Words, nullable=False),
        sa.Column("reason", Words, nullable=False),
        sa.Column("from_session", sa.Date),
        sa.Column("at", Words, nullable=False),
        sa.UniqueConstraint("book", "proposal_id", name="one_answer_per_proposal"),
    )
    op.create_table(
        "experiment_designs",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("id", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("design", Words, nullable=False),
        sa.Column("digest", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.UniqueConstraint("book", "id", name="one_design_per_id"),
    )
    op.create_table(
        "experiment_ends",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("experiment_id", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("verdict", Words, nullable=False),
        sa.Column("reason", Words, nullable=False),
        sa.Column("result", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.UniqueConstraint("book", "experiment_id", name="one_end_per_experiment"),
    )
    op.create_table(
        "health_checks",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("state", Words, nullable=False),
        sa.Column("checks", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_index("health_by_instant", "health_checks", ["at"])
    for table in HISTORY:
        _STAY[op.get_bind().dialect.name](table)


def downgrade() -> None:
    """There is no way back."""
    raise RuntimeError("a ledger is never downgraded; restore the backup of the older version")


def _stay_sqlite(table: str) -> None:
    for name, event in (("stay", "update"), ("remain", "delete")):
        op.execute(
            f"create trigger {table}_{name} before {event} on {table} "
            f"begin select raise(abort, '{table} is append-only: its rows are never changed'); end"
        )


def _stay_postgresql(table: str) -> None:
    """What it refuses is a broken constraint."""
    refused = f"raise exception '{table} is append-only: % is refused', lower(tg_op) using errcode = '23000';"
    _function(f"{table}_stay", refused)
    op.execute(
        f"create trigger {table}_stay before update or delete on {table} for each row execute function {table}_stay()"
    )
    op.execute(f"create trigger {table}_remain before truncate on {table} execute function {table}_stay()")


_STAY = {"sqlite": _stay_sqlite, "postgresql": _stay_postgresql}


def _function(name: str, body: str) -> None:
    op.execute(
        f"create function {name}() returns trigger language plpgsql set search_path from current as $$ begin {body} end $$"
    )
