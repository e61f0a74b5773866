"""Tables of the evaluation that are not made by dbt."""

from trading_assets.core.tables import KNOWABLE_AT, SESSION, Column, Table

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
