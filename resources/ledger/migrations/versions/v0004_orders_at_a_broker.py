"""Orders at a broker: where intents stand, seals, what was sent, what the broker said; pages for the operator, permits for live.

A trigger keeps what the code promises: history stays as it is, a state that has ended never changes, and under an open halt nothing
that opens a position is handed to a broker.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
HISTORY = ("intent_history", "seals", "executions", "execution_fees", "adoptions", "permits")
ENDED = "('VETOED', 'EXPIRED', 'REJECTED', 'FILLED', 'CANCELLED', 'ABANDONED')"
OPEN_HALT = (
    "exists (select 1 from halts h where h.book = new.book"
    " and not exists (select 1 from acknowledgements a where a.halt_id = h.id))"
)
# When, on which change of which table, and what is said.
RULES = (
    (
        "intent_states",
        "update",
        f"old.state in {ENDED} and new.state <> old.state",
        "a state that has ended never changes",
    ),
    (
        "intent_states",
        "update",
        "new.intent_id <> old.intent_id or new.book <> old.book or new.opens <> old.opens",
        "what an intent is never changes",
    ),
    (
        "intent_states",
        "update",
        f"new.state = 'SUBMITTING' and old.state <> 'SUBMITTING' and new.opens and {OPEN_HALT}",
        "a halt is open: nothing that opens a position is sent",
    ),
    (
        "intent_states",
        "insert",
        "new.state <> 'PROPOSED' and (new.state <> 'INTENT' or new.opens)",
        "an intent begins as PROPOSED; only one that reduces begins as INTENT",
    ),
    ("intent_states", "delete", "true", "the state of an intent is not deleted"),
    ("legs", "delete", "true", "an order that was handed to a broker is not deleted"),
    ("perm_ids", "delete", "true", "what a broker calls an order is not deleted"),
    (
        "perm_ids",
        "update",
        "new.perm_id <> old.perm_id or new.key <> old.key",
        "what a broker calls an order never changes",
    ),
)


def upgrade() -> None:
    """Adds the tables and their guards, and says in the heartbeat which program and which limits are alive."""
    _sending()
    _told()
    _seen()
    _kept()
    for name in ("version", "limits_hash"):
        op.add_column("heartbeats", sa.Column(name, Words, nullable=False, server_default=sa.text("''")))
    for table in HISTORY:
        _STAY[op.get_bind().dialect.name](table)
    _GUARDS[op.get_bind().dialect.name]()


def downgrade() -> None:
    """There is no way back."""
    raise RuntimeError("a ledger is never downgraded; restore the backup of the older version")


def _sending() -> None:
    op.create_table(
        "intent_states",
        sa.Column("intent_id", Words, sa.ForeignKey("intents.id"), primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("state", Words, nullable=False),
        sa.Column("why", Words, nullable=False),
        sa.Column("opens", sa.Boolean, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("submitted_at", Words),
        sa.Column("sent_at", Words),
        sa.Column("sent_bytes", sa.BigInteger),
        sa.Column("absences", sa.Integer, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_index("intents_by_state", "intent_states", ["book", "state"])
    op.create_table(
        "intent_history",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("intent_id", Words, sa.ForeignKey("intents.id"), nullable=False),
        sa.Column("state", Words, nullable=False),
        sa.Column("why", Words, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_index("history_by_intent", "intent_history", ["intent_id", "seq"])
    op.create_table(
        "seals",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("intent_id", Words, sa.ForeignKey("intents.id"), nullable=False),
        sa.Column("signer", Words, nullable=False),
        sa.Column("seal", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.UniqueConstraint("intent_id", "signer", name="one_seal_per_signer"),
    )
    op.create_table(
        "legs",
        sa.Column("key", Words, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("intent_id", Words, sa.ForeignKey("intents.id"), nullable=False),
        sa.Column("role", Words, nullable=False),
        sa.Column("symbol", Words, nullable=False),
        sa.Column("con_id", sa.BigInteger, nullable=False),
        sa.Column("side", Words, nullable=False),
        sa.Column("kind", Words, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("state", Words, nullable=False),
        sa.Column("why", Words, nullable=False),
        sa.Column("order_id", sa.BigInteger, nullable=False),
        sa.Column("client_id", sa.Integer, nullable=False),
        sa.Column("limit_price", sa.BigInteger),
        sa.Column("stop_price", sa.BigInteger),
        sa.Column("parent_key", Words, nullable=False),
        sa.Column("oca_group", Words, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("sent_at", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.UniqueConstraint("book", "client_id", "order_id", name="one_order_per_number"),
    )
    op.create_index("legs_by_intent", "legs", ["intent_id"])
    op.create_index("legs_by_number", "legs", ["client_id", "order_id"])
    op.create_index("legs_by_state", "legs", ["book", "state"])
    op.create_index("legs_by_time", "legs", ["book", "sent_at"])


def _told() -> None:
    op.create_table(
        "perm_ids",
        sa.Column("book", Words, primary_key=True),
        sa.Column("perm_id", sa.BigInteger, primary_key=True),
        sa.Column("key", Words, sa.ForeignKey("legs.key"), nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_index("perm_ids_by_key", "perm_ids", ["key"])
    op.create_table(
        "executions",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("exec_id", Words, nullable=False),
        sa.Column("perm_id", sa.BigInteger, nullable=False),
        sa.Column("order_id", sa.BigInteger, nullable=False),
        sa.Column("client_id", sa.Integer, nullable=False),
        sa.Column("ref", Words, nullable=False),
        sa.Column("leg_key", Words, nullable=False),
        sa.Column("intent_id", Words, nullable=False),
        sa.Column("account", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("symbol", Words, nullable=False),
        sa.Column("con_id", sa.BigInteger, nullable=False),
        sa.Column("side", Words, nullable=False),
        sa.Column("quantity", Words, nullable=False),
        sa.Column("price", Words, nullable=False),
        sa.Column("executed_at", Words, nullable=False),
        sa.Column("liquidation", sa.Boolean, nullable=False),
        sa.Column("replaces", Words, nullable=False),
        sa.Column("busts", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.UniqueConstraint("book", "exec_id", name="one_row_per_execution"),
    )
    op.create_index("executions_by_session", "executions", ["book", "session"])
    op.create_index("executions_by_leg", "executions", ["leg_key"])
    op.create_index("executions_by_symbol", "executions", ["book", "symbol"])
    op.create_table(
        "execution_fees",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("exec_id", Words, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.UniqueConstraint("book", "exec_id", name="one_fee_per_execution"),
    )


def _seen() -> None:
    op.create_table(
        "adoptions",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("account", Words, nullable=False),
        sa.Column("symbol", Words, nullable=False),
        sa.Column("con_id", sa.BigInteger, nullable=False),
        sa.Column("quantity", Words, nullable=False),
        sa.Column("average_cost", Words, nullable=False),
        sa.Column("cash", sa.BigInteger),
        sa.Column("through", sa.Integer, nullable=False),
        sa.Column("why", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_index("adoptions_by_book", "adoptions", ["book", "seq"])
    op.create_table(
        "foreign_orders",
        sa.Column("book", Words, primary_key=True),
        sa.Column("perm_id", sa.BigInteger, primary_key=True),
        sa.Column("report", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("book", Words, primary_key=True),
        sa.Column("at", Words, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("agrees", sa.Boolean, nullable=False),
        sa.Column("equity", sa.BigInteger),
        sa.Column("cash", sa.BigInteger),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("day_open", sa.BigInteger),
        sa.Column("peak", sa.BigInteger),
        sa.Column("state", Words, nullable=False),
    )


def _kept() -> None:
    op.create_table(
        "contracts",
        sa.Column("book", Words, primary_key=True),
        sa.Column("symbol", Words, primary_key=True),
        sa.Column("con_id", sa.BigInteger, nullable=False),
        sa.Column("contract", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "pages",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("severity", Words, nullable=False),
        sa.Column("code", Words, nullable=False),
        sa.Column("sentence", Words, nullable=False),
        sa.Column("raised_at", Words, nullable=False),
        sa.Column("sent_at", Words),
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("answered_at", Words),
        sa.Column("answer", Words, nullable=False),
    )
    op.create_table(
        "permits",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", Words, nullable=False),
        sa.Column("account", Words, nullable=False),
        sa.Column("limits_hash", Words, nullable=False),
        sa.Column("evidence", Words, nullable=False),
        sa.Column("phrase", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.Column("until", Words, nullable=False),
    )


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


def _guard_sqlite() -> None:
    for number, (table, event, when, sentence) in enumerate(RULES, start=1):
        op.execute(
            f"create trigger {table}_rule_{number} before {event} on {table} when {when} "
            f"begin select raise(abort, '{sentence}'); end"
        )


def _guard_postgresql() -> None:
    for number, (table, event, when, sentence) in enumerate(RULES, start=1):
        name, row = f"{table}_rule_{number}", "old" if event == "delete" else "new"
        _function(name, f"if {when} then raise exception '{sentence}' using errcode = '23000'; end if; return {row};")
        op.execute(f"create trigger {name} before {event} on {table} for each row execute function {name}()")


_GUARDS = {"sqlite": _guard_sqlite, "postgresql": _guard_postgresql}


def _function(name: str, body: str) -> None:
    op.execute(
        f"create function {name}() returns trigger language plpgsql set search_path from current as $$ begin {body} end $$"
    )
