"""The table of reviews."""

from trading_assets.core.tables import KNOWABLE_AT, SESSION, Column, Table
from trading_assets.reasoning.origin import ORIGIN

UNKNOWN = "unknown"


def _number(name: str, doc: str) -> Column:
    return Column(name, "number", doc, nullable=True)


REVIEWS = Table(
    name="reviews",
    doc="One hourly review of the session: the market against its view at the open, the book so far, and what is advised.",
    key=("session", "slot"),
    columns=(
        SESSION,
        Column("slot", "text", "Time of the review, New York HH:MM."),
        Column("view_open", "text", "The market's strategy view of the session before: what the day was planned on."),
        Column(
            "view_now", "text", "trending_bull, trending_bear or range by the session's own bars; unknown without any."
        ),
        Column("turned", "flag", "The session has a direction, and it is not that of the view at the open."),
        Column("symbols", "count", "Symbols with a bar of the session that is at most half an hour old."),
        _number("up_share", "Share of them above the session's first price, 0 to 1."),
        _number("above_vwap_share", "Share of them above the session's volume-weighted mean price, 0 to 1."),
        _number("move", "Median return since the open, in deviations of a session so far."),
        _number(
            "volatility_ratio", "Median realised deviation since the open over that of 20 sessions for the same time."
        ),
        _number(
            "day_pnl_usd", "Equity now less equity at the last close, USD; what a broker fills later is not in it."
        ),
        _number("day_pnl_fraction", "The same over the equity at the last close."),
        Column("strategies", "text", "JSON list of the strategies that hold something."),
        Column("flags", "text", "JSON list of what a person should see."),
        Column("advice", "text", "hold or tighten; none where nothing could be judged."),
        Column("moves", "text", "JSON object of the moves that are proposed: parameter to its value before and after."),
        Column("reasons", "text", "JSON list of sentences."),
        *ORIGIN,
        KNOWABLE_AT,
    ),
)
