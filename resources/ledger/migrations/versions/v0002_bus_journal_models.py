"""Bus, journal, model calls and answers, breakers, signatures, positions, state of processes; history that cannot be changed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Tables whose rows are never updated, and when a row may be deleted: never, or under a condition on the row `old`.
BACKTEST = "old.book = 'backtest'"
ARCHIVED = "select cast(value as bigint) from app_state where key = 'messages_archived_through'"
HISTORY = {
    "acknowledgements": "exists (select 1 from halts where id = old.halt_id and book = 'backtest')",
    "answers": None,
    "closes": BACKTEST,
    "decisions": BACKTEST,
    "dividends": BACKTEST,
    "evaluations": None,
    "experiments": None,
    "fills": BACKTEST,
    "gates": None,
    "halts": BACKTEST,
    "intents": BACKTEST,
    "journal": BACKTEST,
    "messages": f"{BACKTEST} or old.id <= coalesce(({ARCHIVED}), 0)",
    "model_calls": None,
    "orders": BACKTEST,
    "parameter_changes": None,
    "signatures": BACKTEST,
}
# How far messages are archived is a count that only grows; it is what allows their deletion.
MARK = "messages_archived_through"


def upgrade() -> None:
    """Creates the tables, and the triggers that refuse to change history."""
    _talk()
    _models()
    _orders()
    _state()
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def downgrade() -> None:
    """There is no way back."""
    raise RuntimeError("a ledger is never downgraded; restore the backup of the older version")


def _talk() -> None:
    op.create_table(
        "messages",
        sa.Column("id", Serial, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.Column("sender", Words, nullable=False),
        sa.Column("recipient", Words),
        sa.Column("topic", Words, nullable=False),
        sa.Column("payload", Words, nullable=False),
        sa.Column("correlation_id", Words, nullable=False),
        sa.Column("signature", Words),
        sqlite_autoincrement=True,
    )
    op.create_index("messages_by_session", "messages", ["session", "id"])
    op.create_index("messages_by_topic", "messages", ["topic", "id"])
    op.create_table(
        "cursors",
        sa.Column("consumer", Words, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "listeners",
        sa.Column("port", sa.Integer, primary_key=True),
        sa.Column("consumer", Words, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "journal",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("book", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.Column("kind", Words, nullable=False),
        sa.Column("symbol", Words, nullable=False),
        sa.Column("title", Words, nullable=False),
        sa.Column("body", Words, nullable=False),
        sa.Column("correlation_id", Words, nullable=False),
        sa.Column("previous", Words, nullable=False),
        sa.Column("hash", Words, nullable=False),
    )
    op.create_index("journal_by_correlation", "journal", ["correlation_id"])
    op.create_index("journal_by_session", "journal", ["session", "seq"])
    op.create_index("journal_by_symbol", "journal", ["symbol", "seq"])


def _models() -> None:
    op.create_table(
        "model_calls",
        sa.Column("id", Serial, primary_key=True),
        sa.Column("reservation", Words, nullable=False, unique=True),
        sa.Column("at", Words, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("lane", Words, nullable=False),
        sa.Column("decision", Words, nullable=False),
        sa.Column("backfill", Words, nullable=False),
        sa.Column("skill", Words, nullable=False),
        sa.Column("skill_hash", Words, nullable=False),
        sa.Column("route", Words, nullable=False),
        sa.Column("model", Words, nullable=False),
        sa.Column("outcome", Words, nullable=False),
        sa.Column("input_tokens", sa.Integer, nullable=False),
        sa.Column("cached_tokens", sa.Integer, nullable=False),
        sa.Column("output_tokens", sa.Integer, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("shadow_cost", sa.BigInteger, nullable=False),
        sa.Column("latency_ms", sa.Integer, nullable=False),
        sa.Column("answer_key", Words, nullable=False),
        sa.Column("error", Words, nullable=False),
    )
    op.create_index("model_calls_by_answer", "model_calls", ["answer_key"])
    op.create_index("model_calls_by_day", "model_calls", ["day", "id"])
    op.create_index("model_calls_by_decision", "model_calls", ["decision"])
    op.create_table(
        "pockets",
        sa.Column("name", Words, primary_key=True),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
    )
    op.create_table(
        "reservations",
        sa.Column("id", Words, primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("pockets", Words, nullable=False),
        sa.Column("call", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.Column("until", Words, nullable=False),
    )
    op.create_table(
        "answers",
        sa.Column("key", Words, primary_key=True),
        sa.Column("route", Words, nullable=False),
        sa.Column("model", Words, nullable=False),
        sa.Column("skill", Words, nullable=False),
        sa.Column("skill_hash", Words, nullable=False),
        sa.Column("request", Words, nullable=False),
        sa.Column("response", Words, nullable=False),
        sa.Column("digest", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "batches",
        sa.Column("id", Words, primary_key=True),
        sa.Column("route", Words, nullable=False),
        sa.Column("model", Words, nullable=False),
        sa.Column("state", Words, nullable=False),
        sa.Column("pending", Words, nullable=False),
        sa.Column("requests", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.Column("collected", Words),
    )
    op.create_table(
        "breakers",
        sa.Column("route", Words, primary_key=True),
        sa.Column("state", Words, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("cooldown_s", sa.Float, nullable=False),
        sa.Column("open_until", Words, nullable=False),
        sa.Column("trial_until", Words, nullable=False),
        sa.Column("reason", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )


def _orders() -> None:
    op.create_table(
        "signatures",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("slot", Words, nullable=False),
        sa.Column("plan_id", Words, nullable=False),
        sa.Column("plan_digest", Words, nullable=False),
        sa.Column("signer", Words, nullable=False),
        sa.Column("ruling", Words, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("verdict", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.UniqueConstraint("book", "plan_id", "signer", name="one_ruling_per_signer"),
    )
    op.create_table(
        "positions",
        sa.Column("book", Words, primary_key=True),
        sa.Column("symbol", Words, primary_key=True),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("price", sa.BigInteger, nullable=False),
    )


def _state() -> None:
    op.create_table(
        "app_state",
        sa.Column("key", Words, primary_key=True),
        sa.Column("value", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "heartbeats",
        sa.Column("process", Words, primary_key=True),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("state", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", Words, primary_key=True),
        sa.Column("holder", Words, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("until", Words, nullable=False),
    )
    op.create_table(
        "parameter_changes",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("name", Words, nullable=False),
        sa.Column("before", Words),
        sa.Column("after", Words),
        sa.Column("origin", Words, nullable=False),
        sa.Column("reason", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "experiments",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("name", Words, nullable=False),
        sa.Column("subject", Words, nullable=False),
        sa.Column("hypothesis", Words, nullable=False),
        sa.Column("parameters", Words, nullable=False),
        sa.Column("result", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "agent_health",
        sa.Column("agent", Words, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("route", Words, primary_key=True),
        sa.Column("answers", sa.Integer, nullable=False),
        sa.Column("replays", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("latency_ms", sa.BigInteger, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "evaluations",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("measures", Words, nullable=False),
        sa.Column("digest", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.UniqueConstraint("book", "session", "digest", name="one_evaluation_per_content"),
    )


def _guard_sqlite() -> None:
    for table, condition in HISTORY.items():
        _refuse(f"{table}_stay", "update", table, "1", f"{table} is append-only: its rows are never changed")
        unless = f"not ({condition})" if condition else "1"
        _refuse(f"{table}_remain", "delete", table, unless, f"{table} is append-only: this row is not deleted")
    smaller = "messages_archived_through only grows"
    number = "new.value glob '[0-9]*' and new.value not glob '*[^0-9]*'"
    for event in ("insert", "update"):
        _refuse(f"archive_mark_{event}", event, "app_state", f"new.key = '{MARK}' and not ({number})", smaller)
    shrinks = f"old.key = '{MARK}' and (new.key <> old.key or cast(new.value as integer) < cast(old.value as integer))"
    _refuse("archive_mark_grows", "update", "app_state", shrinks, smaller)
    _refuse("archive_mark_remains", "delete", "app_state", f"old.key = '{MARK}'", smaller)


def _refuse(name: str, event: str, table: str, when: str, sentence: str) -> None:
    op.execute(
        f"create trigger {name} before {event} on {table} when {when} begin select raise(abort, '{sentence}'); end"
    )


def _guard_postgresql() -> None:
    """One function for each table, so that its condition may look into other tables; what it refuses is a broken constraint."""
    for table, condition in HISTORY.items():
        allowed = f"tg_op = 'DELETE' and ({condition})" if condition else "false"
        _function(
            f"{table}_stay",
            f"if tg_level = 'ROW' then if {allowed} then return old; end if; end if;"
            f" raise exception '{table} is append-only: % is refused', lower(tg_op) using errcode = '23000';",
        )
        op.execute(
            f"create trigger {table}_stay before update or delete on {table} for each row execute function {table}_stay()"
        )
        op.execute(f"create trigger {table}_remain before truncate on {table} execute function {table}_stay()")
    _function(
        "archive_mark_grows",
        f"if tg_op = 'DELETE' then if old.key <> '{MARK}' then return old; end if;"
        f" elsif new.key = '{MARK}' and new.value ~ '^[0-9]+$' and"
        f" (tg_op = 'INSERT' or (old.key = new.key and new.value::bigint >= old.value::bigint)) then return new;"
        f" elsif new.key <> '{MARK}' and (tg_op = 'INSERT' or old.key <> '{MARK}') then return new; end if;"
        " raise exception 'messages_archived_through only grows' using errcode = '23000';",
    )
    op.execute(
        "create trigger archive_mark_grows before insert or update or delete on app_state"
        " for each row execute function archive_mark_grows()"
    )


def _function(name: str, body: str) -> None:
    op.execute(
        f"create function {name}() returns trigger language plpgsql set search_path from current as $$ begin {body} end $$"
    )
