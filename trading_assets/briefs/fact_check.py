"""Every citation is read again where it points: a brief whose evidence does not stand in the facts is not believed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from trading_assets.briefs.cuts import session_at_hand
from trading_assets.briefs.facts import Facts, Row
from trading_assets.briefs.inputs import headline_digest
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS, INTRADAY_FEATURES
from trading_assets.market.documents.model import MACRO_SERIES, NEWS
from trading_assets.market.model import DAILY_BARS
from trading_assets.regimes.model import LIQUIDITY_REGIMES, MARKET, REGIME_LABELS

_RELATIVE = 1e-9
Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something that was said and is not believed, and the first of its citations that does not stand."""

    agent: str
    symbol: str
    sentence: str


def check_evidence(evidence: Evidence, facts: Facts) -> str | None:
    """What is wrong with a citation, in one sentence; None when the facts say the same.

    A pair is cited as "AAA/BBB". A headline is cited by its digest. Numbers agree within one part in a billion.
    """
    find = _ROWS.get(evidence.table)
    where = f"{evidence.table} of {evidence.symbol}, {evidence.session}"
    if find is None:
        return f"{evidence.table} is no table that can be cited"
    rows = [row for row in find(evidence.symbol, facts) if row.get("session", evidence.session) == evidence.session]
    if not rows:
        return f"{where}: there is no such row among the facts"
    held = [_held(evidence, row) for row in rows]
    if any(_same(value, evidence.value) for value in held):
        return None
    if all(value is None for value in held):
        return f"{where}: {evidence.column} has no value"
    return f"{where}: {evidence.column} is {held[-1]!r} and was cited as {evidence.value!r}"


def check_all(evidence: Iterable[Evidence], facts: Facts) -> str | None:
    """What is wrong with the first citation that does not stand; None when all do."""
    return next((wrong for each in evidence if (wrong := check_evidence(each, facts)) is not None), None)


def checked_briefs(briefs: Sequence[Brief], facts: Facts) -> tuple[tuple[Brief, ...], tuple[Mismatch, ...]]:
    """The briefs whose evidence stands, and why the others do not count."""
    return _checked(briefs, facts, lambda brief: brief.evidence, lambda brief: (brief.agent, brief.symbol))


def checked_narratives(
    narratives: Sequence[Narrative], facts: Facts
) -> tuple[tuple[Narrative, ...], tuple[Mismatch, ...]]:
    """The narratives whose evidence stands, and why the others do not count."""
    return _checked(narratives, facts, lambda told: told.evidence, lambda told: ("narrative", told.symbol))


def _checked(
    said: Sequence[Said],
    facts: Facts,
    evidence: Callable[[Said], Sequence[Evidence]],
    signed: Callable[[Said], tuple[str, str]],
) -> tuple[tuple[Said, ...], tuple[Mismatch, ...]]:
    problems = [check_all(evidence(each), facts) for each in said]
    kept = tuple(each for each, problem in zip(said, problems, strict=True) if problem is None)
    wrong = (Mismatch(*signed(each), problem) for each, problem in zip(said, problems, strict=True) if problem)
    return kept, tuple(wrong)


def _held(evidence: Evidence, row: Row) -> object:
    value = row.get(evidence.column)
    cites_a_text = evidence.table == NEWS.name and evidence.column == "headline"
    return headline_digest(value) if cites_a_text and isinstance(value, str) else value


def _same(held: object, cited: float | str) -> bool:
    if isinstance(held, str) or isinstance(cited, str):
        return held == cited
    return isinstance(held, int | float) and math.isclose(held, cited, rel_tol=_RELATIVE)


def _bars(symbol: str, facts: Facts) -> Iterable[Row]:
    known = facts.symbols.get(symbol)
    return ({**known.bar, "session": known.session},) if known else ()


def _indicators(symbol: str, facts: Facts) -> Iterable[Row]:
    known = facts.symbols.get(symbol)
    if known is None or not known.indicators:
        return ()
    newest = {**known.indicators, "session": known.session}
    return (newest, known.previous) if "session" in known.previous else (newest,)


def _breadth(symbol: str, facts: Facts) -> Iterable[Row]:
    known = facts.breadth if symbol == MARKET else None
    return ({**known, "session": facts.session},) if known else ()


def _regimes(symbol: str, facts: Facts) -> Iterable[Row]:
    known = facts.symbols.get(symbol)
    regime = facts.market_regime if symbol == MARKET else known.regime if known else None
    return ({**regime, "session": facts.session},) if regime else ()


def _correlations(pair: str, facts: Facts) -> Iterable[Row]:
    return (row for row in facts.correlations if f"{row['symbol_a']}/{row['symbol_b']}" == pair)


def _liquidity(symbol: str, facts: Facts) -> Iterable[Row]:
    known = facts.liquidity.get(symbol)
    return (known,) if known else ()


def _intraday(symbol: str, facts: Facts) -> Iterable[Row]:
    known = facts.intraday.get(symbol)
    return ({**known, "session": session_at_hand(facts.as_of)},) if known else ()


_ROWS: Mapping[str, Callable[[str, Facts], Iterable[Row]]] = {
    DAILY_BARS.name: _bars,
    INDICATORS.name: _indicators,
    BREADTH.name: _breadth,
    REGIME_LABELS.name: _regimes,
    NEWS.name: lambda symbol, facts: facts.news.get(symbol, ()),
    MACRO_SERIES.name: lambda series, facts: facts.macro.get(series, ()),
    CORRELATIONS.name: _correlations,
    LIQUIDITY_REGIMES.name: _liquidity,
    INTRADAY_FEATURES.name: _intraday,
}
