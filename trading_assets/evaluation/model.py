"""Tables of the evaluation that are not made by dbt."""

from typing import Literal, get_args

from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

Evidence = Literal["rules", "clean", "unknown", "contaminated"]
"""What a decision rests on: the rules alone, or models that could not, might or did know what came later. The worst counts."""
EVIDENCE: tuple[Evidence, ...] = get_args(Evidence)
Dimension = Literal["strategy", "regime", "time_of_day", "evidence", "thesis", "author", "persona", "analyst"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
UNEXPLAINED = "unexplained"
RESTING = "resting"
EVENT = "event"

_TIME_OF_DAY = "slot that decided, New York HH:MM; event for a look between slots"

BENCHMARK = Table(
    name="benchmark",
    doc="Buy-and-hold of the same universe: equal cash per symbol at the first open it trades in the book's life, same costs.",
    key=("session",),
    columns=(
        SESSION,
        Column("equity", "usd", "Cash plus market value at the close, dividends kept as cash, USD."),
        KNOWABLE_AT,
    ),
)

ATTRIBUTION = Table(
    name="attribution_shares",
    doc="What of one closed trade's P&L one name of one dimension gets; the names of a dimension sum to the trade's P&L exactly.",
    key=("session", "trade_id", "dimension", "name"),
    columns=(
        SESSION,
        Column("trade_id", "text", "The trade, closed in this session."),
        SYMBOL,
        Column("dimension", "text", f"{', '.join(DIMENSIONS)}."),
        Column("name", "text", f"Who or what; {UNEXPLAINED} for what nobody's share explains."),
        Column("share", "number", "Of the trade, -1 to 1 for a voice; below zero for a voice against."),
        Column("pnl", "usd", "The trade's P&L times the share, USD."),
        KNOWABLE_AT,
    ),
)

SLIPPAGE = Table(
    name="slippage",
    doc="Implementation shortfall of one fill, or of the part of an order to trade now that never filled; positive is a cost.",
    key=("session", "order_id", "fill_id"),
    columns=(
        SESSION,
        Column("order_id", "text", "The order."),
        Column("fill_id", "text", "The execution; empty for the part that did not fill."),
        Column("intent_id", "text", "The intent in the ledger."),
        SYMBOL,
        Column("strategy", "text", "Strategy that asked for the trade; unknown for what no decision ordered."),
        Column("time_of_day", "text", f"The {_TIME_OF_DAY}; {RESTING} for stops and targets; empty where unknown."),
        Column("role", "text", "entry, addition, stop, target, close or exit."),
        Column("type", "text", "market, limit or stop; unknown for what no decision ordered."),
        Column("side", "text", "buy or sell."),
        Column("quantity", "count", "Shares filled, or not filled."),
        Column("reference", "usd", "Decision price in the day's share count, USD; empty where unknown.", nullable=True),
        Column("arrival", "usd", "Price when the order reached the market, USD; empty where unknown.", nullable=True),
        Column(
            "arrival_source", "text", "quote (middle of bid and ask), bar (open of the slot's bar), open, or empty."
        ),
        Column(
            "price",
            "usd",
            "Of the fill, or the session's close for what did not fill, USD; empty where unknown.",
            nullable=True,
        ),
        Column("delay", "usd", "Cost from the decision to arrival, USD; empty where unknown.", nullable=True),
        Column("execution", "usd", "Cost from arrival to the fill, USD; empty where unknown.", nullable=True),
        Column(
            "shortfall",
            "usd",
            "Cost against the decision price, fees left out, USD; empty where unknown.",
            nullable=True,
        ),
        Column("shortfall_bp", "number", "The same in basis points of the decision value.", nullable=True),
        Column("fee", "usd", "USD."),
        KNOWABLE_AT,
    ),
)

DECISION_EVIDENCE = Table(
    name="decision_evidence",
    doc="What one decided slot rests on, and what its models cost; `close` is what was asked about the session's closed trades.",
    key=("session", "slot"),
    columns=(
        SESSION,
        Column("slot", "text", "Decision time, New York; close for the critic after settlement."),
        Column("state", "text", "As the ledger has the decision: ACTIVE, IDLE and so on; AFTER_CLOSE for the critic."),
        Column(
            "evidence", "text", "rules, clean, unknown or contaminated: the worst of what the decision could rest on."
        ),
        Column(
            "book_evidence", "text", "The same over the session's decisions and those that opened what the book held."
        ),
        Column("models", "text", "Models whose answers had a part, comma-separated; empty for the rules."),
        Column("plans", "count", "Plans made."),
        Column("vetoes", "count", "Plans refused."),
        Column("calls", "count", "Calls of models that were paid for this decision, ever."),
        Column("model_cost", "number", "What they cost, USD; less than a hundredth of a cent is possible."),
        KNOWABLE_AT,
    ),
)

METRIC_INTERVALS = Table(
    name="metric_intervals",
    doc="A headline measure of the record to date with its block-bootstrap interval, apart for each kind of evidence.",
    key=("session", "measure", "evidence"),
    columns=(
        SESSION,
        Column("measure", "text", "Which; docs/metrics.md has the formulas."),
        Column(
            "evidence", "text", "rules, clean, unknown or contaminated; all only where the record has more than one."
        ),
        Column("estimate", "number", "The measure itself; empty where it is undefined.", nullable=True),
        Column("low", "number", "Lower end; empty where the record is too short.", nullable=True),
        Column("high", "number", "Upper end; empty where the record is too short.", nullable=True),
        Column("level", "number", "Confidence, such as 0.95."),
        Column("observations", "count", "Sessions, trades or fills behind it."),
        KNOWABLE_AT,
    ),
)

MEASURED: tuple[Table, ...] = (DECISION_EVIDENCE, ATTRIBUTION, SLIPPAGE, METRIC_INTERVALS)
EVALUATED: tuple[Table, ...] = (BENCHMARK, *MEASURED)
