"""What the simulated market is made of, and the tables of its truth.

Truth tables carry no `knowable_at`: they are never knowable to a decision, so they do not belong into the lake. They are for
scores, tests and rehearsals.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from trading_assets.core.ports import Span
from trading_assets.core.tables import SESSION, SYMBOL, Column, Table

NAME = "simulated"
MARKET = "MARKET"
Regime = Literal["trending_up", "trending_down", "high_volatility", "low_volatility", "ranging"]
REGIMES: tuple[Regime, ...] = ("trending_up", "trending_down", "high_volatility", "low_volatility", "ranging")
Liquidity = Literal["stressed", "buyer_dominated", "seller_dominated", "normal"]
LIQUIDITY: tuple[Liquidity, ...] = ("normal", "stressed", "buyer_dominated", "seller_dominated")


@dataclass(frozen=True, slots=True)
class Instrument:
    """One member of the cast.

    Args:
        symbol: SIM000 to SIM599.
        sector: One of eleven.
        scale: Drift and deviation of its regimes, in units of the regimes' own.
        market_share: Correlation of its daily shock with the market's.
        sector_share: Correlation of its daily shock with its sector's, beyond the market.
        first_price: Price before its first session, USD.
        turnover: Usual turnover of a session at the first price, USD.
        spread_bp: Usual quoted spread in basis points of the price, before the floor of 1.2 cents.
        first: First session.
        last: Last session: of the calendar, or before the delisting.
        fails: Whether it falls in its last 120 sessions and is then delisted.
        dividend: Quarterly dividend as a fraction of the price; 0 for none.
        split_above: Price above which its board splits the share, USD; infinite for never.
        halts: Whether it is one of the few that lose whole sessions to a halt.
        quiet: Whether it has neither jumps, earnings gaps nor dividends: both legs of planted pairs.
    """

    symbol: str
    sector: str
    scale: float
    market_share: float
    sector_share: float
    first_price: float
    turnover: float
    spread_bp: float
    first: date
    last: date
    fails: bool
    dividend: float
    split_above: float
    halts: bool
    quiet: bool

    @property
    def beta(self) -> float:
        """Slope on the market factor in a session in which both are in the same regime."""
        return self.scale * self.market_share

    @property
    def life(self) -> Span:
        """First and last session."""
        return Span(self.first, self.last)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two symbols whose log prices, less splits, move together: log(second) - hedge_ratio × log(first) reverts to its mean.

    With `breaks`, the bond is cut in the episodes that `breakdowns` lists.
    """

    first: str
    second: str
    hedge_ratio: float
    breaks: bool


REGIME_TRUTH = Table(
    name="regime_truth",
    doc="The regime that generated a symbol's session; MARKET for the common factor.",
    key=("session", "symbol"),
    columns=(SESSION, SYMBOL, Column("regime", "text", ", ".join(REGIMES) + ".")),
)

LIQUIDITY_TRUTH = Table(
    name="liquidity_truth",
    doc="The liquidity regime that generated a symbol's quotes in a session.",
    key=("session", "symbol"),
    columns=(SESSION, SYMBOL, Column("liquidity", "text", ", ".join(LIQUIDITY) + ".")),
)

EVENT_TRUTH = Table(
    name="event_truth",
    doc="A sudden move that news preceded: a jump within a session, or an earnings gap at its open.",
    key=("session", "symbol"),
    columns=(
        SESSION,
        SYMBOL,
        Column("kind", "text", "jump or earnings."),
        Column("move", "number", "Log return that the event adds."),
        Column("news_session", "day", "Session in which the news before it was published."),
    ),
)

HALT_TRUTH = Table(
    name="halt_truth",
    doc="Minutes of a session in which a symbol does not trade.",
    key=("session", "symbol"),
    columns=(
        SESSION,
        SYMBOL,
        Column("kind", "text", "pause (a few minutes after a jump) or session (no bar all day)."),
        Column("start", "instant", "UTC start of the first minute without a bar."),
        Column("end", "instant", "UTC end of the last minute without a bar."),
    ),
)

BREAKDOWN_TRUTH = Table(
    name="breakdown_truth",
    doc="An episode in which the second leg of a pair moves on its own; afterwards it converges.",
    key=("session", "first", "second"),
    columns=(
        Column("session", "day", "First session of the episode."),
        Column("first", "text", "Symbol of the first leg."),
        Column("second", "text", "Symbol of the second leg."),
        Column("last_session", "day", "Last session of the episode."),
        Column("converged_session", "day", "First session afterwards whose spread is back within its usual width."),
    ),
)
