"""From facts to the analysts' questions: one builder for each type of inputs, so that a skill which names the type can be asked.

Every id that an answer may cite stands for rows of the lake.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from trading_assets.briefs.cuts import session_at_hand
from trading_assets.briefs.facts import Facts, Row, SymbolFacts
from trading_assets.briefs.model import Evidence
from trading_assets.briefs.narratives.counting import counted
from trading_assets.briefs.narratives.roles import NarrativeInputs
from trading_assets.briefs.roles import (
    BreadthInputs,
    Headline,
    MacroInputs,
    MacroReading,
    NewsInputs,
    PriceReading,
    Reading,
    TechnicalInputs,
    View,
)
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.ids import digest
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.documents.model import MACRO_SERIES, NEWS
from trading_assets.regimes.model import MARKET, REGIME_LABELS

PRICES = (
    *("close", "sma_50", "sma_200", "bb_lower_20_2", "bb_upper_20_2"),
    *("macd_histogram_12_26_9", "atr_14", "high_252", "low_252"),
)
RATIOS = ("rsi_14", "adx_14", "mom_252_21", "vol_20")
PARTICIPATION = ("advances", "declines", "above_sma_50_share", "above_sma_200_share")
HEADLINES_MAX = 20
_MONTH, _TWO_MONTHS = timedelta(days=28), timedelta(days=56)
Citations = Mapping[str, tuple[Evidence, ...]]


@dataclass(frozen=True, slots=True)
class Question:
    """What may be asked about one symbol, and which rows of the lake each id that an answer may cite stands for."""

    symbol: str
    as_of: datetime
    inputs: BaseModel
    citations: Citations

    def cited(self, ids: Sequence[str]) -> tuple[Evidence, ...]:
        """The rows behind some ids, each once."""
        return tuple(dict.fromkeys(evidence for id_ in ids for evidence in self.citations[id_]))


def technical_questions(facts: Facts) -> Iterator[Question]:
    """One for each symbol that has indicators."""
    for _, symbol in sorted(facts.symbols.items()):
        question = _technical(symbol, facts.as_of)
        if question is not None:
            yield question


def breadth_questions(facts: Facts) -> Iterator[Question]:
    """One for the market, where breadth is known."""
    if facts.breadth is None or facts.session is None:
        return
    rows = _readings("r", PARTICIPATION, BREADTH.name, facts.session, facts.breadth)
    readings = tuple(Reading(**row) for row in rows)
    if readings:
        citations = {r.id: (_cite(r.table, facts.session, MARKET, r.column, r.value),) for r in readings}
        yield Question(MARKET, facts.as_of, BreadthInputs(session=facts.session, readings=readings), citations)


def news_questions(facts: Facts) -> Iterator[Question]:
    """One for each symbol, and for the market, that has headlines: at most the twenty newest."""
    for symbol, told in _told(facts):
        headlines, citations = _headlines(symbol, told)
        inputs = NewsInputs(symbol=symbol, session=session_at_hand(facts.as_of), headlines=headlines)
        yield Question(symbol, facts.as_of, inputs, citations)


def narrative_questions(facts: Facts) -> Iterator[Question]:
    """The same headlines with what code counts over all of the ten sessions."""
    return (narrative_question(symbol, told, facts.as_of) for symbol, told in _told(facts))


def narrative_question(symbol: str, told: Sequence[Row], as_of: datetime) -> Question:
    """What is asked about the headlines of one symbol, rows of NEWS, oldest first."""
    headlines, citations = _headlines(symbol, told)
    session = session_at_hand(as_of)
    here = bisect_left(XNYS.days, session)
    ages = [max(here - bisect_left(XNYS.days, row["session"]), 0) for row in told]
    counts = counted(ages, _publishers(told))
    inputs = NarrativeInputs(
        symbol=symbol,
        session=session,
        headlines=headlines,
        recent=counts.recent,
        earlier=counts.earlier,
        newest_age=counts.newest_age,
        publishers=counts.publishers,
        velocity=counts.velocity,
        source_diversity=counts.source_diversity,
        stage_by_count=counts.stage,
    )
    return Question(symbol, as_of, inputs, citations)


def macro_questions(facts: Facts) -> Iterator[Question]:
    """One for the market, where any macro series is known."""
    if facts.session is None or not facts.macro:
        return
    readings, citations = list[MacroReading](), dict[str, tuple[Evidence, ...]]()
    for position, (name, rows) in enumerate(sorted(facts.macro.items()), 1):
        reading, compared = _macro_reading(f"r{position}", name, rows)
        readings.append(reading)
        citations[reading.id] = tuple(
            _cite(MACRO_SERIES.name, row["session"], name, "value", row["value"]) for row in compared
        )
    spread, change = _credit(facts.macro)
    inputs = MacroInputs(
        session=facts.session, series=tuple(readings), credit_spread=spread, credit_spread_change=change
    )
    yield Question(MARKET, facts.as_of, inputs, citations)


# What a skill may name as its input schema to be asked about the facts. A new type needs a builder here.
BUILDERS: Mapping[type[BaseModel], Callable[[Facts], Iterator[Question]]] = {
    TechnicalInputs: technical_questions,
    BreadthInputs: breadth_questions,
    NewsInputs: news_questions,
    MacroInputs: macro_questions,
    NarrativeInputs: narrative_questions,
}


def headline_digest(headline: str) -> str:
    """What a citation of a headline holds in the place of its text: the text is foreign, its digest is not."""
    return digest(headline)


def _technical(facts: SymbolFacts, as_of: datetime) -> Question | None:
    prices = [PriceReading(**row) for row in _readings("p", PRICES, INDICATORS.name, facts.session, facts.indicators)]
    ratios = [Reading(**row) for row in _readings("r", RATIOS, INDICATORS.name, facts.session, facts.indicators)]
    if not prices and not ratios:
        return None
    given: tuple[PriceReading | Reading, ...] = (*prices, *ratios)
    citations = {r.id: (_cite(r.table, facts.session, facts.symbol, r.column, r.value),) for r in given}
    view = View(id="v1", name=facts.view) if facts.regime else None
    if view:
        citations[view.id] = (_cite(REGIME_LABELS.name, facts.session, facts.symbol, "strategy_view", view.name),)
    inputs = TechnicalInputs(
        symbol=facts.symbol, session=facts.session, view=view, prices=tuple(prices), readings=tuple(ratios)
    )
    return Question(facts.symbol, as_of, inputs, citations)


def _readings(letter: str, columns: Sequence[str], table: str, session: date, row: Row) -> Iterator[dict[str, Any]]:
    """The known columns of a row; an id belongs to a column, whether or not the others are known."""
    for position, column in enumerate(columns, 1):
        value = row.get(column)
        if value is not None and math.isfinite(value):
            id_ = f"{letter}{position}"
            yield {"id": id_, "table": table, "column": column, "session": session, "value": float(value)}


def _told(facts: Facts) -> Iterator[tuple[str, Sequence[Row]]]:
    """The symbols of the desk, and the market, that have headlines."""
    for symbol in (*sorted(facts.symbols), MARKET):
        told = facts.news.get(symbol)
        if told:
            yield symbol, told


def _headlines(symbol: str, told: Sequence[Row]) -> tuple[tuple[Headline, ...], Citations]:
    numbered = [*enumerate(zip(told, _publishers(told), strict=True), 1)][-HEADLINES_MAX:]
    headlines = tuple(
        Headline(
            id=f"h{number % 1000}",
            published=row["published_at"].astimezone(NEW_YORK).date(),
            text=row["headline"],
            publisher=publisher,
        )
        for number, (row, publisher) in numbered
    )
    cited = (
        _cite(NEWS.name, row["session"], symbol, "headline", headline_digest(row["headline"]))
        for _, (row, _) in numbered
    )
    return headlines, {headline.id: (evidence,) for headline, evidence in zip(headlines, cited, strict=True)}


def _publishers(told: Sequence[Row]) -> list[int]:
    """Publishers as numbers in order of appearance; 0 where nobody is named."""
    known: dict[str, int] = {}
    return [known.setdefault(row["publisher"], len(known) + 1) if row["publisher"] else 0 for row in told]


def _macro_reading(id_: str, name: str, rows: Sequence[Row]) -> tuple[MacroReading, list[Row]]:
    """The reading, and the rows that it compares: the newest, and the newest that are a month and two months older."""
    newest = rows[-1]
    month, two_months = _older(rows, _MONTH), _older(rows, _TWO_MONTHS)
    points = str(newest["unit"]).startswith("percent")
    reading = MacroReading(
        id=id_,
        series=name,
        observed=newest["observed_on"],
        unit="points" if points else "fraction",
        change_month=_change(newest, month, points=points),
        change_two_months=_change(newest, two_months, points=points),
    )
    return reading, [row for row in (newest, month, two_months) if row is not None]


def _older(rows: Sequence[Row], by: timedelta) -> Row | None:
    """The newest observation that is so much older than the last one."""
    latest = rows[-1]["observed_on"] - by
    return next((row for row in reversed(rows) if row["observed_on"] <= latest), None)


def _change(newest: Row, older: Row | None, *, points: bool) -> float | None:
    """Rounded, so that the exact move of an index does not tell the day: 0.01 points, or 0.1 %."""
    if older is None or (not points and older["value"] <= 0):
        return None
    if points:
        return round(float(newest["value"] - older["value"]), 2)
    return round(float(newest["value"] / older["value"] - 1.0), 3)


def _credit(macro: Mapping[str, Sequence[Row]]) -> tuple[float | None, float | None]:
    """BAA over AAA of the newest month that both have, to a tenth of a point, and its change over two months."""
    best = {row["observed_on"]: row["value"] for row in macro.get("AAA", ())}
    spreads = [
        (row["observed_on"], row["value"] - best[row["observed_on"]])
        for row in macro.get("BAA", ())
        if row["observed_on"] in best
    ]
    if not spreads:
        return None, None
    day, newest = spreads[-1]
    older = next((spread for observed, spread in reversed(spreads) if observed <= day - _TWO_MONTHS), None)
    return round(newest, 1), None if older is None else round(newest - older, 2)


def _cite(table: str, session: date, symbol: str, column: str, value: float | str) -> Evidence:
    return Evidence(table=table, session=session, symbol=symbol, column=column, value=value)
