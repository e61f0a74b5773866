"""What stood behind a plan when it was decided, read from the lake as of that moment, and what came of it since."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from desk.tracing.rows import LakeWitness, Seen
from trading_assets.briefs.fact_check import check_evidence
from trading_assets.briefs.facts import FactBook, Facts
from trading_assets.briefs.model import ANALYST_BRIEFS, Evidence
from trading_assets.briefs.narratives.model import NARRATIVES
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Lake, Span
from trading_assets.core.tables import Table
from trading_assets.execution.model import FILLS, ORDERS, TRADES
from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS, INTRADAY_FEATURES
from trading_assets.market.model import DAILY_BARS, INTRADAY_BARS
from trading_assets.plans.model import TRADE_PLANS, VOTES, TradePlan
from trading_assets.regimes.model import LIQUIDITY_REGIMES, MARKET, REGIME_LABELS
from trading_assets.signatures.model import VERDICTS
from trading_assets.theses.memory.model import LESSONS
from trading_assets.theses.model import (
    DEBATES,
    STANCES,
    THESES,
    THESIS_EDGES,
    THESIS_EVENTS,
    THESIS_SCORES,
)

# No thesis lives longer than a position's horizon, and none is traced further back.
THESIS_REACH = timedelta(days=400)
CITING: tuple[Table, ...] = (ANALYST_BRIEFS, NARRATIVES, DEBATES)


@dataclass(frozen=True, slots=True)
class Citation:
    """A citation of a brief, narrative or case, read again: `problem` is "" where the cited value still stands there."""

    by: str
    evidence: Mapping[str, Any]
    problem: str

    def as_json(self) -> dict[str, Any]:
        """The citation for `--json`."""
        return {"by": self.by, **self.evidence, "stands": not self.problem, "problem": self.problem}


@dataclass(frozen=True)
class Behind:
    """The rows by table, the citations among them, and the tables that had no row."""

    rows: Mapping[str, tuple[Seen, ...]]
    citations: tuple[Citation, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Tables without a row for the plan."""
        return tuple(name for name, rows in self.rows.items() if not rows)

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The recorded answers that the rows come from, each once."""
        keys = (str(seen.row.get("answer_key") or "") for rows in self.rows.values() for seen in rows)
        return tuple(dict.fromkeys(key for key in keys if key))


def behind(lake: Lake, lane: str, plan: TradePlan, intent_id: str, trade_id: str, *, now: datetime) -> Behind:
    """Everything in the lake that a plan rests on, as it was knowable then, and what came of it, as it is known now.

    Args:
        trade_id: The intent that opened the position: the plan's own, or that of the entry before it.
    """
    witness = LakeWitness(lake, lane)
    tables: dict[str, tuple[Seen, ...]] = {}
    for table, rows in (
        *_said(witness, plan),
        *_thought(witness, plan),
        *_decided(witness, plan),
        *_known(witness, plan),
        *_became(witness, plan, intent_id, trade_id, now),
    ):
        tables[table.name] = rows
    return Behind(tables, tuple(_citations(lake, plan, tables)))


def _said(witness: LakeWitness, plan: TradePlan) -> Iterator[tuple[Table, tuple[Seen, ...]]]:
    today, as_of = Span(plan.session, plan.session), plan.as_of
    for table in (ANALYST_BRIEFS, NARRATIVES):
        yield table, witness.rows(table, today, as_of=as_of, symbol={plan.symbol, MARKET})
    yield DEBATES, witness.rows(DEBATES, today, as_of=as_of, symbol={plan.symbol})
    yield STANCES, witness.rows(STANCES, today, as_of=as_of)


def _thought(witness: LakeWitness, plan: TradePlan) -> Iterator[tuple[Table, tuple[Seen, ...]]]:
    """The thesis from its forming to the slot, with what happened to it and how it stood to others."""
    until = Span(plan.session - THESIS_REACH, plan.session)
    for table in (THESES, THESIS_EVENTS):
        yield table, witness.rows(table, until, as_of=plan.as_of, thesis_id={plan.thesis_id})
    today = Span(plan.session, plan.session)
    edges = witness.rows(THESIS_EDGES, today, as_of=plan.as_of, slot={plan.slot})
    mine = tuple(seen for seen in edges if plan.thesis_id in {seen.row["source"], seen.row["target"]})
    yield THESIS_EDGES, mine


def _decided(witness: LakeWitness, plan: TradePlan) -> Iterator[tuple[Table, tuple[Seen, ...]]]:
    today, as_of = Span(plan.session, plan.session), plan.as_of
    yield (
        VOTES,
        witness.rows(VOTES, today, as_of=as_of, slot={plan.slot}, symbol={plan.symbol}, strategy={plan.strategy}),
    )
    yield TRADE_PLANS, witness.rows(TRADE_PLANS, today, as_of=as_of, plan_id={plan.id})
    yield VERDICTS, witness.rows(VERDICTS, today, as_of=as_of, plan_id={plan.id})


def _known(witness: LakeWitness, plan: TradePlan) -> Iterator[tuple[Table, tuple[Seen, ...]]]:
    """Facts of the session before, and within the session the newest bar that was over."""
    before, as_of = _day(XNYS.previous(plan.session).day), plan.as_of
    for table in (REGIME_LABELS, LIQUIDITY_REGIMES):
        yield table, witness.rows(table, before, as_of=as_of, facts=True, symbol={plan.symbol, MARKET})
    for table in (INDICATORS, DAILY_BARS):
        yield table, witness.rows(table, before, as_of=as_of, facts=True, symbol={plan.symbol})
    yield BREADTH, witness.rows(BREADTH, before, as_of=as_of, facts=True)
    pairs = witness.rows(CORRELATIONS, before, as_of=as_of, facts=True)
    yield CORRELATIONS, tuple(seen for seen in pairs if plan.symbol in {seen.row["symbol_a"], seen.row["symbol_b"]})
    for table in (INTRADAY_BARS, INTRADAY_FEATURES):
        rows = witness.rows(table, _day(plan.session), as_of=as_of, facts=True, symbol={plan.symbol})
        yield table, rows[-1:]


def _became(
    witness: LakeWitness, plan: TradePlan, intent_id: str, trade_id: str, now: datetime
) -> Iterator[tuple[Table, tuple[Seen, ...]]]:
    since = Span(plan.session, max(plan.session, now.date()))
    yield ORDERS, witness.rows(ORDERS, _day(plan.session), as_of=now, intent_id={intent_id})
    yield FILLS, witness.rows(FILLS, since, as_of=now, intent_id={intent_id})
    yield TRADES, witness.rows(TRADES, since, as_of=now, trade_id={trade_id})
    yield THESIS_SCORES, witness.rows(THESIS_SCORES, since, as_of=now, thesis_id={plan.thesis_id})
    yield LESSONS, witness.rows(LESSONS, since, as_of=now, lesson_id={trade_id})


def _citations(lake: Lake, plan: TradePlan, tables: Mapping[str, Sequence[Seen]]) -> Iterator[Citation]:
    """Each citation against the facts as they were knowable when it was written."""
    citing = [seen for table in CITING for seen in tables[table.name]]
    if not citing:
        return
    book = FactBook.load(lake, _day(plan.session), as_of=plan.as_of)
    cuts: dict[str, Facts] = {}
    for seen in citing:
        moment = seen.row["knowable_at"]
        if moment not in cuts:
            cuts[moment] = book.at(datetime.fromisoformat(moment))
        for cited in json.loads(seen.row["evidence"]):
            problem = check_evidence(Evidence.model_validate(cited), cuts[moment]) or ""
            yield Citation(_author(seen), cited, problem)


def _author(seen: Seen) -> str:
    who = seen.row.get("agent") or seen.row.get("side") or "narrative"
    return f"{who} on {seen.row['symbol']}"


def _day(session: date) -> Span:
    return Span(session, session)
