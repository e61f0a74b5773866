"""The tables of the weekly desk, and a portfolio as a decision sees it.

There is one portfolio for each run day. A row whose symbol is `TOTAL` stands for the whole of it, so that a portfolio that
wants nothing is not mistaken for one that was never made.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

STRATEGY: Final = "weekly_portfolio"
TOTAL = "portfolio"
"""The symbol of the row that stands for all; no instrument is written in small letters."""
QUANTILES: Mapping[str, float] = {"low_90": 0.05, "low_50": 0.25, "middle": 0.5, "high_50": 0.75, "high_90": 0.95}
PLACES = 6
_WHOLE = 1 + 1e-9

WEEKLY_SCREEN = Table(
    name="weekly_screen",
    doc="One symbol at the close of a run day of the weekly desk: its rank, or the first rule that it breaks.",
    key=("session", "symbol"),
    columns=(
        SYMBOL,
        SESSION,
        Column("rank", "count", "Place by score among those that passed; 1 is best.", nullable=True),
        Column("score", "number", "Weighted mean of ranks within the session, 0 to 1.", nullable=True),
        Column("momentum", "number", "12-1 momentum, a fraction.", nullable=True),
        Column("trend", "number", "Close over its 200-session mean, less 1.", nullable=True),
        Column("volatility", "number", "Annualised, 20 sessions; calm is little of it.", nullable=True),
        Column("strategy_view", "text", "The regime's view; empty before the first label.", nullable=True),
        Column("reference", "number", "Close of the session, USD, as traded."),
        Column("passed", "flag", "Goes on to the simulation."),
        Column("reason", "text", "The rank, or the first bound that it broke with value and bound."),
        KNOWABLE_AT,
    ),
)


def _bands() -> tuple[Column, ...]:
    return tuple(
        Column(name, "number", f"Quantile {quantile:g} of the simulated return over the horizon.", nullable=True)
        for name, quantile in QUANTILES.items()
    )


WEEKLY_PORTFOLIO = Table(
    name="weekly_portfolio",
    doc="What the weekly desk wants of one symbol from the next session to the next run day, and of all together.",
    key=("session", "symbol"),
    columns=(
        Column("symbol", "text", f"Ticker as traded in that session; {TOTAL} for all together."),
        SESSION,
        Column(
            "action",
            "text",
            "enter, keep, change, leave or pass, against the portfolio before; total for all together.",
        ),
        Column("weight", "number", "Share of the weekly desk's capital, 0 to 1."),
        Column("weight_before", "number", "The same in the portfolio before; 0 without one."),
        Column("weight_wanted", "number", "What it would be if small changes were made too."),
        Column("rank", "count", "Place in the screen.", nullable=True),
        Column("score", "number", "Score of the screen, 0 to 1.", nullable=True),
        Column("p_loss", "number", "Share of simulated paths that end below where they began.", nullable=True),
        Column("p_loss_se", "number", "Standard error of p_loss.", nullable=True),
        Column("expected_return", "number", "Mean simulated return over the horizon, before costs.", nullable=True),
        Column("expected_return_se", "number", "Standard error of the mean return.", nullable=True),
        *_bands(),
        Column("capital_fraction", "number", "Share of equity that the weekly desk may use, as it was set."),
        Column("valid_until", "day", "The last session in which it may open: that of the next run."),
        Column("made_before", "day", "Session of the portfolio before.", nullable=True),
        Column("horizon_sessions", "count", "Length of a path, sessions."),
        Column("paths", "count", "Simulated paths."),
        Column("seed", "count", "Seed of the paths."),
        Column("reason", "text", "Why, with value and bound."),
        KNOWABLE_AT,
    ),
)

WEEKLY_RESULTS = Table(
    name="weekly_results",
    doc="What came of one symbol of an earlier portfolio over its horizon, and of all together, beside what was expected.",
    key=("session", "made", "symbol"),
    columns=(
        Column("symbol", "text", f"Ticker as traded in that session; {TOTAL} for all together."),
        SESSION,
        Column("made", "day", "Session of the portfolio that is judged."),
        Column("ended", "day", "Session with which its horizon ended."),
        Column("weight", "number", "Its weight, share of the weekly desk's capital; 0 where it was simulated only."),
        Column("outcome", "number", "Close to close over the horizon, splits taken out, a fraction.", nullable=True),
        Column("universe", "number", "The same of buy-and-hold: the mean over all screened symbols.", nullable=True),
        Column("expected_return", "number", "What the paths expected.", nullable=True),
        Column("p_loss", "number", "What share of them lost.", nullable=True),
        *_bands(),
        Column("inside_50", "flag", "Between low_50 and high_50, both counted.", nullable=True),
        Column("inside_90", "flag", "Between low_90 and high_90, both counted.", nullable=True),
        KNOWABLE_AT,
    ),
)
WEEKLY_TABLES = (WEEKLY_SCREEN, WEEKLY_PORTFOLIO, WEEKLY_RESULTS)


@dataclass(frozen=True, slots=True)
class Targets:
    """One portfolio as the decision cycle sees it.

    Args:
        session: After whose close it was made.
        valid_until: The last session in which it may open anything.
        capital_fraction: Share of equity that the weekly desk may use.
        weights: By symbol wanted, its share of the weekly desk's capital; none is 0.
        reasons: By symbol, why it is wanted or not.
    """

    session: date
    valid_until: date
    capital_fraction: float
    weights: Mapping[str, float]
    reasons: Mapping[str, str] = field(default_factory=dict)

    def is_stale(self, day: date) -> bool:
        """Whether it opens nothing in that session: the next one is due, or it is of the session itself."""
        return not self.session < day <= self.valid_until

    def fraction(self, symbol: str) -> float:
        """Share of equity that the symbol is wanted to weigh."""
        return self.weights.get(symbol, 0.0) * self.capital_fraction


class Portfolios:
    """Rows of WEEKLY_PORTFOLIO by the moment from which they were knowable."""

    def __init__(self, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        by_session: dict[date, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_session.setdefault(row["session"], []).append(row)
        self._made = [(max(row["knowable_at"] for row in of), of) for _, of in sorted(by_session.items())]

    def at(self, as_of: datetime) -> Targets | None:
        """The newest portfolio that was whole at a moment; None without one, or where its rows make no portfolio."""
        known = [rows for knowable_at, rows in self._made if knowable_at <= as_of]
        return targets_of(known[-1]) if known else None


def targets_of(rows: Sequence[Mapping[str, Any]]) -> Targets | None:
    """The portfolio that the rows of one session make; None without a total, or with weights that cannot be."""
    total = next((row for row in rows if row["symbol"] == TOTAL), None)
    named = [row for row in rows if row["symbol"] != TOTAL]
    if total is None or not _sound([total["capital_fraction"], *(row["weight"] for row in named)]):
        return None
    weights = {row["symbol"]: row["weight"] for row in named if row["weight"] > 0}
    if sum(weights.values()) > _WHOLE:
        return None
    return Targets(
        session=total["session"],
        valid_until=total["valid_until"],
        capital_fraction=total["capital_fraction"],
        weights=weights,
        reasons={row["symbol"]: row["reason"] for row in named},
    )


def _sound(shares: Sequence[float]) -> bool:
    return all(math.isfinite(share) and 0 <= share <= 1 for share in shares)
