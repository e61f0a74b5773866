"""The tables of universes, and what a universe says when it cannot name its members."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from trading_assets.core.errors import DataNotReady
from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

NumberField = Literal["price", "average_volume", "dollar_volume", "momentum_12_1", "volatility_20", "market_cap", "pe"]
TextField = Literal["sector"]
ReferenceField = Literal["market_cap", "pe"]

_UNIVERSE = Column("universe", "text", "Name of the universe in config/universes.yaml.")
_REBALANCED_ON = Column(
    "rebalanced_on", "day", "Session whose close the membership was computed at; carried from there to this session."
)

UNIVERSE = Table(
    name="universe",
    doc="One member of one universe in one session, computed from what was knowable at the close of `rebalanced_on`.",
    key=("session", "universe", "symbol"),
    columns=(
        _UNIVERSE,
        Column("symbol", "text", "Instrument; an ended owner of a ticker is TICKER-YYYYMMDD."),
        SESSION,
        Column("rank", "count", "Place by the universe's rank_by, 1 is first; by symbol where it has none."),
        Column("score", "number", "Value of the rank_by field at rebalanced_on; empty without rank_by.", nullable=True),
        _REBALANCED_ON,
        Column("reason", "text", "The base and each filter with the number of securities that it left."),
        KNOWABLE_AT,
    ),
)

UNIVERSE_PAIRS = Table(
    name="universe_pairs",
    doc="Two members of a universe whose log prices were cointegrated over the look-back that ends at `rebalanced_on`.",
    key=("session", "universe", "symbol_a", "symbol_b"),
    columns=(
        _UNIVERSE,
        Column("symbol_a", "text", "The dependent one of the regression."),
        Column("symbol_b", "text", "The explaining one of the regression."),
        SESSION,
        Column("p_value", "number", "The larger Engle-Granger p-value of the two orderings, uncorrected."),
        Column(
            "p_value_adjusted", "number", "The same after the universe's correction for the number of pairs tested."
        ),
        Column("pairs_tested", "count", "Pairs that were tested on rebalanced_on: the size of the family."),
        Column("correlation", "number", "Correlation of the daily log returns over the look-back."),
        Column("alpha", "number", "Intercept of log price a on log price b."),
        Column("beta", "number", "Slope of log price a on log price b."),
        Column("half_life_sessions", "number", "Sessions in which half of a deviation of the spread decays."),
        Column("spread_deviation", "number", "Sample deviation of the spread over the look-back, log points."),
        Column(
            "spread_z",
            "number",
            "(log a - alpha - beta log b) / spread_deviation at this session's close; empty without both bars.",
            nullable=True,
        ),
        _REBALANCED_ON,
        KNOWABLE_AT,
    ),
)

REFERENCE_FACTS = Table(
    name="reference_facts",
    doc="A slowly changing number about a symbol that bars do not hold; the newest one knowable counts for 252 sessions.",
    key=("session", "symbol", "field"),
    columns=(
        SYMBOL,
        SESSION,
        Column("field", "text", "market_cap (USD) or pe (price over trailing earnings)."),
        Column("value", "number", "The number."),
        Column("source", "text", "Provider that delivered the row."),
        KNOWABLE_AT,
    ),
)


class UniverseRefused(DataNotReady):
    """A universe has no members in a session: what it needs is missing, or its filters left too few."""


@dataclass(frozen=True, slots=True)
class Step:
    """One filter of the chain: how many came in, how many of them had no value, how many were left."""

    label: str
    before: int
    without_value: int
    after: int

    def __str__(self) -> str:
        missing = f" ({self.without_value} without a value)" if self.without_value else ""
        return f"{self.label}: {self.after} of {self.before}{missing}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a universe has no members in a session.

    Args:
        universe: Its name.
        session: The session that was asked for.
        rebalanced_on: The session at which the membership was computed.
        what: One sentence that names the filter or fact at fault.
        steps: The chain as far as it came.
    """

    universe: str
    session: date
    rebalanced_on: date
    what: str
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        chain = "; ".join(str(step) for step in self.steps)
        return f"universe {self.universe} on {self.session}: {self.what}" + (f" ({chain})" if chain else "")

    def error(self) -> UniverseRefused:
        """The refusal as an exception, for whoever needs the members."""
        return UniverseRefused(
            f"universe {self.universe} has no members on {self.session}: {self.what}",
            value="; ".join(str(step) for step in self.steps) or None,
            hint="loosen the filters in config/universes.yaml, or ingest the sessions that they look at",
        )
