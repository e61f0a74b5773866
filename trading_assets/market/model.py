"""The tables of market facts."""

from typing import Literal

from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

Frequency = Literal["1d", "1h", "5m", "1m"]
ActionKind = Literal["split", "cash_dividend"]

_START = Column("start", "instant", "UTC start of the bar: the session's open for daily bars.")
_PRICES = (
    Column("open", "number", "First price, USD, as traded."),
    Column("high", "number", "Highest price, USD, as traded."),
    Column("low", "number", "Lowest price, USD, as traded."),
    Column("close", "number", "Last price, USD, as traded."),
    Column("volume", "number", "Shares traded."),
)
_SOURCE = Column("source", "text", "Provider that delivered the row.")

DAILY_BARS = Table(
    name="daily_bars",
    doc="One symbol in one session, prices as traded; knowable at the session's close.",
    key=("session", "symbol"),
    columns=(SYMBOL, SESSION, _START, *_PRICES, _SOURCE, KNOWABLE_AT),
)

INTRADAY_BARS = Table(
    name="intraday_bars",
    doc="One intraday bar of one symbol, labelled by its start, as traded; knowable at its end.",
    key=("session", "symbol", "frequency", "start"),
    columns=(
        SYMBOL,
        SESSION,
        Column("frequency", "text", "1h, 5m or 1m."),
        _START,
        *_PRICES,
        _SOURCE,
        KNOWABLE_AT,
    ),
)

QUOTE_BARS = Table(
    name="quote_bars",
    doc="Quotes of one symbol averaged over one minute, labelled by its start; knowable at its end.",
    key=("session", "symbol", "start"),
    columns=(
        SYMBOL,
        SESSION,
        _START,
        Column("bid", "number", "Time-weighted mean best bid, USD, as traded."),
        Column("ask", "number", "Time-weighted mean best ask, USD, as traded."),
        Column("bid_depth", "number", "Mean shares shown on the bid side.", nullable=True),
        Column("ask_depth", "number", "Mean shares shown on the ask side.", nullable=True),
        _SOURCE,
        KNOWABLE_AT,
    ),
)

CROSS_CHECK_BARS = Table(
    name="cross_check_bars",
    doc="The same daily bars from a second source, kept only to be compared with the first.",
    key=("session", "symbol"),
    columns=(SYMBOL, SESSION, _START, *_PRICES, _SOURCE, KNOWABLE_AT),
)

CORPORATE_ACTIONS = Table(
    name="corporate_actions",
    doc="A split or cash dividend on its ex-date; in force, and knowable at the latest, at that session's open.",
    key=("session", "symbol", "kind"),
    columns=(
        SYMBOL,
        SESSION,
        Column("kind", "text", "split or cash_dividend."),
        Column("ratio", "number", "New shares per old share; 1.0 for a dividend."),
        Column("amount", "number", "USD per share as traded on the day before; 0.0 for a split."),
        _SOURCE,
        KNOWABLE_AT,
    ),
)
