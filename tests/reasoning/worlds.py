"""Cases for the leak check: on the simulated market, and on a made one whose trends carry on."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache

import numpy as np

from simulation.market import SimulatedMarket
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.reasoning.probes import HORIZON_SESSIONS, WINDOW_SESSIONS, Case, Close, TrendInputs, cases_of

SPAN = Span(date(2016, 1, 4), date(2020, 12, 31))


@cache
def histories(seed: int, symbols: int = 20) -> Mapping[str, Sequence[Close]]:
    """Closes of the first symbols of a simulated market, as if nothing had been split."""
    market = SimulatedMarket(seed)
    names = [one.symbol for one in market.cast()[:symbols]]
    found: dict[str, list[Close]] = {}
    for symbol, session, close in market.daily_panel(names, SPAN).select("symbol", "session", "close").iter_rows():
        found.setdefault(symbol, []).append(Close(session, close, close))
    return found


@cache
def cases(seed: int = 7, count: int = 200) -> tuple[Case, ...]:
    """Cases of a simulated market."""
    return cases_of(histories(seed), count=count)


def persistent(count: int, *, seed: int = 3, strength: float = 4.0) -> tuple[Case, ...]:
    """Cases in which the last ten moves say much about what follows."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        moves = 0.01 * random.standard_normal(WINDOW_SESSIONS - 1)
        after = strength * moves[-10:].mean() + 0.01 * random.standard_normal()
        closes = 80 * np.exp(np.cumsum([0.0, *moves]))
        inputs = TrendInputs(
            symbol=f"MADE{number % 40:02d}",
            session=XNYS.days[6_000 + 5 * number],
            closes=tuple(round(float(close), 2) for close in closes),
            horizon_sessions=HORIZON_SESSIONS,
        )
        made.append(Case(inputs, "up" if after > 0 else "down"))
    return tuple(made)
