"""Cointegrated pairs: two securities whose log prices keep to a common line (Engle and Granger, 1987).

Each ordering is tested: one log price is regressed on the other and the residual on its own past (augmented Dickey-Fuller, lags by
AIC, p-values of MacKinnon). Both orderings must reject, so the p-value of a pair is the larger of the two. Testing many pairs finds
some by chance: about `p_value_max` of those that are not cointegrated. The number tested is reported, and the p-values can be
corrected for it.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.core.calendar import Calendar, days_of
from trading_assets.core.ports import Span
from trading_assets.market.universe.config import Pairs, Universes
from trading_assets.market.universe.fields import Series, place_of, series_of
from trading_assets.market.universe.listings import is_alive
from trading_assets.market.universe.membership import Facts, facts_needed_from, members_at
from trading_assets.market.universe.model import UNIVERSE_PAIRS, Refusal
from trading_assets.market.universe.periods import rebalanced_on

Floats = NDArray[np.float64]
PRESENT_FRACTION_MIN = 0.95
_CORRELATION_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Tested:
    """How many pairs one set of pairs considered and tested on one session.

    Args:
        pairs: Its name.
        session: The rebalancing session.
        securities: Members with bars in at least 95 % of the look-back.
        correlated: Pairs of them above the correlation.
        tested: Pairs tested, at most tests_max.
        found: Pairs kept.
        false_finds_expected: tested times p_value_max: finds by chance if no pair were cointegrated and nothing corrected.
    """

    pairs: str
    session: date
    securities: int
    correlated: int
    tested: int
    found: int
    false_finds_expected: float


@dataclass(frozen=True)
class PairSnapshot:
    """Rows of UNIVERSE_PAIRS, the counts behind them, and the sessions that could not be computed."""

    frame: pl.DataFrame
    tested: tuple[Tested, ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A tested pair: log price a = alpha + beta x log price b + spread."""

    a: str
    b: str
    p_value: float
    adjusted: float
    correlation: float
    alpha: float
    beta: float
    half_life: float | None
    deviation: float


def cointegrated_pairs(config: Universes, facts: Facts, *, span: Span, calendar: Calendar) -> PairSnapshot:
    """The pairs of every session of the span; found on the rebalancing session and carried from there.

    Args:
        config: The universes and pairs.
        facts: Bars and splits from `pairs_need_from` on, or earlier.
        span: The sessions.
        calendar: The exchange's.
    """
    walk = _PairWalk(config, facts, calendar)
    sessions = days_of(calendar.sessions(span.first, span.last))
    rows, tested, refusals = [], [], []
    for name in sorted(config.pairs):
        walk.prepare(name, sessions)
        for session in sessions:
            answer = walk.at(name, session)
            if isinstance(answer, Refusal):
                refusals.append(answer)
            else:
                rows.extend(walk.rows(name, answer, session))
        tested.extend(walk.counts(name))
    return PairSnapshot(UNIVERSE_PAIRS.frame(rows), tuple(tested), tuple(refusals))


def pairs_need_from(config: Universes, span: Span, calendar: Calendar) -> date:
    """The first session whose bars the pairs of the span look at."""
    begun = [(rebalanced_on(span.first, pairs.rebalance, calendar), pairs) for pairs in config.pairs.values()]
    looked_back = [place_of(day, calendar) - pairs.look_back_sessions for day, pairs in begun]
    members = [facts_needed_from(config, Span(day, day), calendar) for day, _ in begun]
    return min([calendar.days[max(place, 0)] for place in looked_back] + members, default=span.first)


def link(a: str, b: str, prices: tuple[Floats, Floats], *, correlation: float) -> Link | None:
    """Tests one pair in both orderings; None when the prices do not move or the regression has no answer.

    Args:
        a: First symbol.
        b: Second symbol.
        prices: Their log prices over the same sessions.
        correlation: Of their log returns, to be carried along.
    """
    first, second = prices
    if np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return None
    forward, backward = engle_granger(first, second), engle_granger(second, first)
    if not (math.isfinite(forward) and math.isfinite(backward)):
        return None
    if backward < forward:
        a, b, first, second = b, a, second, first
    alpha, beta = _line(first, second)
    spread = first - alpha - beta * second
    deviation = math.sqrt(float(np.sum((spread - np.mean(spread)) ** 2)) / (len(spread) - 1))
    if deviation == 0.0:
        return None
    larger = max(forward, backward)
    return Link(a, b, larger, larger, correlation, alpha, beta, half_life_sessions(spread), deviation)


def half_life_sessions(spread: Floats) -> float | None:
    """Sessions in which half of a deviation decays: -ln 2 / ln(1 + k), k the slope of the change on the level before.

    None when the spread does not return to its mean, or overshoots it each session.
    """
    _, slope = _line(np.diff(spread), spread[:-1])
    return -math.log(2.0) / math.log1p(slope) if -1.0 < slope < 0.0 else None


def correlations(returns: Floats) -> Floats:
    """Pairwise correlation of rows, each pair over the columns that both have; NaN where it is not defined.

    Args:
        returns: symbols x sessions, NaN where there is no return.
    """
    present = np.isfinite(returns).astype(np.float64)
    filled = np.where(present > 0, returns, 0.0)
    count, sums, squares = present @ present.T, filled @ present.T, (filled**2) @ present.T
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = filled @ filled.T / count - (sums / count) * (sums.T / count)
        variance = squares / count - (sums / count) ** 2
        return np.round(covariance / np.sqrt(variance * variance.T), _CORRELATION_DIGITS)


class _PairWalk:
    """The pairs of each rebalancing session, found once."""

    def __init__(self, config: Universes, facts: Facts, calendar: Calendar) -> None:
        self._config, self._facts, self._calendar = config, facts, calendar
        self._series = series_of(facts.bars, facts.actions, calendar)
        self._lives = {instrument.symbol: instrument for instrument in facts.instruments}
        self._members: dict[str, Mapping[date, tuple[str, ...] | Refusal]] = {}
        self._found: dict[tuple[str, date], tuple[Sequence[Link], Tested] | Refusal] = {}

    def prepare(self, name: str, sessions: Sequence[date]) -> None:
        """Names the members of the base at every rebalancing session, in one go."""
        pairs = self._config.pairs[name]
        begun = sorted({rebalanced_on(session, pairs.rebalance, self._calendar) for session in sessions})
        self._members[name] = members_at(self._config, self._facts, pairs.base, begun, calendar=self._calendar)

    def at(self, name: str, session: date) -> tuple[date, Sequence[Link], int] | Refusal:
        """The rebalancing session, its pairs of which both live on, and the number tested."""
        pairs = self._config.pairs[name]
        begun = rebalanced_on(session, pairs.rebalance, self._calendar)
        key = (name, begun)
        if key not in self._found:
            self._found[key] = self._search(name, pairs, begun)
        answer = self._found[key]
        if isinstance(answer, Refusal):
            return Refusal(name, session, begun, answer.what, answer.steps)
        alive = [each for each in answer[0] if self._lives_on(each.a, session) and self._lives_on(each.b, session)]
        return begun, alive, answer[1].tested

    def counts(self, name: str) -> list[Tested]:
        """What was tested for one set of pairs, by session."""
        return [answer[1] for (each, _), answer in self._found.items() if each == name and isinstance(answer, tuple)]

    def rows(self, name: str, answer: tuple[date, Sequence[Link], int], session: date) -> list[dict[str, object]]:
        """Rows of one session."""
        begun, links, tested = answer
        close = self._calendar.session(session).close
        return [
            {
                "universe": name,
                "symbol_a": each.a,
                "symbol_b": each.b,
                "session": session,
                "p_value": each.p_value,
                "p_value_adjusted": each.adjusted,
                "pairs_tested": tested,
                "correlation": each.correlation,
                "alpha": each.alpha,
                "beta": each.beta,
                "half_life_sessions": each.half_life,
                "spread_deviation": each.deviation,
                "spread_z": self._z(each, begun, session),
                "rebalanced_on": begun,
                "knowable_at": close,
            }
            for each in links
        ]

    def _search(self, name: str, pairs: Pairs, session: date) -> tuple[Sequence[Link], Tested] | Refusal:
        symbols = self._members[name][session]
        if isinstance(symbols, Refusal):
            return Refusal(
                name, session, session, f"its base {pairs.base} has no members: {symbols.what}", symbols.steps
            )
        grid = _grid(self._series, symbols, pairs.look_back_sessions, place_of(session, self._calendar))
        chosen = _correlated(grid, pairs.correlation_min)
        tried = [_tested(grid, a, b, value) for value, a, b in chosen[: pairs.tests_max]]
        links = _corrected([each for each in tried if each is not None], pairs)
        kept = [each for each in links if _keeps(each, pairs)]
        kept.sort(key=lambda each: (each.p_value, each.a, each.b))
        kept = kept[: pairs.pairs_max]
        count = len(tried)
        return kept, Tested(name, session, len(grid), len(chosen), count, len(kept), count * pairs.p_value_max)

    def _lives_on(self, symbol: str, session: date) -> bool:
        return symbol not in self._lives or is_alive(self._lives[symbol], session)

    def _z(self, each: Link, begun: date, session: date) -> float | None:
        """The spread in the share counts of the rebalancing session, over its deviation there."""
        a, b = self._log_price(each.a, begun, session), self._log_price(each.b, begun, session)
        return None if a is None or b is None else (a - each.alpha - each.beta * b) / each.deviation

    def _log_price(self, symbol: str, begun: date, session: date) -> float | None:
        series = self._series[symbol]
        places = np.array([place_of(begun, self._calendar), place_of(session, self._calendar)])
        rows = np.searchsorted(series.places, places)
        if rows[1] >= len(series.places) or series.places[rows[1]] != places[1]:
            return None
        shares = series.shares(rows[:1], rows[1:])
        return float(np.log(series.closes[rows[1]] * shares[0]))


def _grid(series: Mapping[str, Series], symbols: Sequence[str], sessions: int, last: int) -> Mapping[str, Floats]:
    """Log prices in the share count of session number `last`, NaN where there is no bar; symbols with too few are left out."""
    grid = {}
    for symbol in symbols:
        if symbol not in series:
            continue
        each = series[symbol]
        rows = np.flatnonzero((each.places > last - sessions) & (each.places <= last))
        if len(rows) < PRESENT_FRACTION_MIN * sessions:
            continue
        line = np.full(sessions, np.nan)
        shares = each.shares(rows, np.full(rows.shape, rows[-1]))
        line[each.places[rows] - (last - sessions + 1)] = np.log(each.closes[rows] / shares)
        grid[symbol] = line
    return grid


def _correlated(grid: Mapping[str, Floats], least: float) -> list[tuple[float, str, str]]:
    """Pairs whose returns correlate at least so much, the most correlated first."""
    symbols = sorted(grid)
    if len(symbols) < 2:
        return []
    matrix = correlations(np.diff(np.stack([grid[symbol] for symbol in symbols]), axis=1))
    upper = np.triu(np.where(np.isfinite(matrix), matrix, -2.0) >= least, k=1)
    found = [(float(matrix[i, j]), symbols[i], symbols[j]) for i, j in np.argwhere(upper)]
    return sorted(found, key=lambda each: (-each[0], each[1], each[2]))


def _tested(grid: Mapping[str, Floats], a: str, b: str, correlation: float) -> Link | None:
    both = np.isfinite(grid[a]) & np.isfinite(grid[b])
    return link(a, b, (grid[a][both], grid[b][both]), correlation=correlation)


def _corrected(links: Sequence[Link], pairs: Pairs) -> list[Link]:
    if pairs.correction == "none" or not links:
        return list(links)
    from statsmodels.stats.multitest import multipletests

    method = {"holm": "holm", "benjamini_hochberg": "fdr_bh"}[pairs.correction]
    adjusted = multipletests([each.p_value for each in links], alpha=pairs.p_value_max, method=method)[1]
    return [_with_adjusted(each, float(value)) for each, value in zip(links, adjusted, strict=True)]


def _with_adjusted(each: Link, adjusted: float) -> Link:
    return Link(
        each.a, each.b, each.p_value, adjusted, each.correlation, each.alpha, each.beta, each.half_life, each.deviation
    )


def _keeps(each: Link, pairs: Pairs) -> bool:
    """Rejected after the correction, hedged by a position of the other sign, and back soon enough."""
    slow = each.half_life is None or each.half_life > pairs.half_life_sessions_max
    return each.adjusted <= pairs.p_value_max and each.beta > 0 and not slow


def engle_granger(dependent: Floats, explaining: Floats) -> float:
    """The p-value of one ordering; NaN where the regression has no answer."""
    from statsmodels.tools.sm_exceptions import CollinearityWarning
    from statsmodels.tsa.stattools import coint

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollinearityWarning)
        try:
            return float(coint(dependent, explaining, trend="c", method="aeg", autolag="aic")[1])
        except (ValueError, np.linalg.LinAlgError):
            return math.nan


def _line(dependent: Floats, explaining: Floats) -> tuple[float, float]:
    """Intercept and slope of least squares; slope 0 where the explaining series does not move."""
    centred = explaining - np.mean(explaining)
    squares = float(np.sum(centred**2))
    slope = float(np.sum(centred * (dependent - np.mean(dependent)))) / squares if squares > 0 else 0.0
    return float(np.mean(dependent)) - slope * float(np.mean(explaining)), slope
