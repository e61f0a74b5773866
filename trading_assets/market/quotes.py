"""The quality gate of quotes: each minute by itself, and each session as a whole."""

from typing import TYPE_CHECKING, Final

import polars as pl

from trading_assets.core.calendar import Calendar
from trading_assets.core.ports import Span
from trading_assets.market.expectations import SessionVerdict, at_least, between, only, suite, verdicts_on
from trading_assets.market.hours import session_hours

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

SPREAD_FRACTION_MAX: Final = 0.1
MINUTES_TO_MOVE: Final = 30
_MINUTE_US = 60_000_000
_PRICES, _DEPTHS = ("bid", "ask"), ("bid_depth", "ask_depth")


def judge_quotes(quotes: pl.DataFrame, *, span: Span, calendar: Calendar) -> list[SessionVerdict]:
    """One verdict per session of the span, ascending; a session without quotes passes, because few sources have any.

    Args:
        quotes: Rows of QUOTE_BARS of the span, duplicates allowed.
        span: The sessions to judge.
        calendar: Sessions of the exchange.
    """
    return verdicts_on(_prepared(quotes, span, calendar), quotes_suite(), span=span, calendar=calendar)


def quotes_suite() -> "ExpectationSuite":
    """The rules for quotes; those of severity `warning` do not close the gate."""
    quote = "{symbol} at {start}: bid {bid:g}, ask {ask:g}: "
    still = "{symbol}: {minutes} minutes of quotes and not one of them differs"
    return suite(
        "quote_bars",
        [
            only("unusable_numbers", 0, quote + "{unusable_numbers} numbers are not finite, or below 0"),
            between("bid", quote + "prices must be above 0", min_value=0, strict_min=True),
            at_least("ask", "bid", quote + "the bid is above the ask"),
            between(
                "spread_fraction",
                quote + "a spread of {spread_fraction:.1%} of the middle",
                max_value=SPREAD_FRACTION_MAX,
            ),
            only("place", "inside", "{symbol}: the minute of {start} starts outside the session"),
            only("off_grid_us", 0, "{symbol}: {start} is not the start of a minute"),
            only("copies", 1, "{symbol}: the minute of {start} stands {copies} times"),
            only("moves", "moving", still),
        ],
    )


def _prepared(quotes: pl.DataFrame, span: Span, calendar: Calendar) -> pl.DataFrame:
    numbers = pl.col(*_PRICES, *_DEPTHS)
    still = pl.all_horizontal((pl.col(name).n_unique() == 1).over("session", "symbol") for name in _PRICES)
    inside = (pl.col("start") >= pl.col("session_open")) & (pl.col("start") < pl.col("session_close"))
    return (
        quotes.join(session_hours(calendar, span.first, span.last), on="session")
        .with_columns(
            unusable_numbers=pl.sum_horizontal((~numbers.is_finite() | (numbers < 0)).cast(pl.Int64)),
            spread_fraction=(pl.col("ask") - pl.col("bid")) / ((pl.col("ask") + pl.col("bid")) / 2),
            place=pl.when(inside).then(pl.lit("inside")).otherwise(pl.lit("outside")),
            off_grid_us=pl.col("start").dt.timestamp("us") % _MINUTE_US,
            copies=pl.len().over("session", "symbol", "start"),
            minutes=pl.len().over("session", "symbol"),
        )
        .with_columns(
            moves=pl.when(still & (pl.col("minutes") >= MINUTES_TO_MOVE))
            .then(pl.lit("still"))
            .otherwise(pl.lit("moving"))
        )
        .with_row_index("row")
    )
