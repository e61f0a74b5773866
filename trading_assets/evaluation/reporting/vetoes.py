"""Vetoes of the whole record: which control refused, and what the refused openings would have earned."""

from collections.abc import Sequence
from decimal import Decimal

import polars as pl

from trading_assets.core.ports import Span
from trading_assets.evaluation.proposals import ControlRecord
from trading_assets.evaluation.reporting.record import Record
from trading_assets.evaluation.vetoed import VetoOutcome, veto_outcomes
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.plans.model import TRADE_PLANS
from trading_assets.signatures.model import VERDICTS


def outcomes_of(record: Record) -> tuple[VetoOutcome, ...]:
    """Every refused opening, played alone at the paper broker."""
    verdicts, plans, life = record.read(VERDICTS), record.read(TRADE_PLANS), record.life
    if not verdicts.filter(pl.col("ruling") == "veto").height:
        return ()
    bars, actions = (record.facts(table, Span(life.first, life.last)) for table in (DAILY_BARS, CORPORATE_ACTIONS))
    return veto_outcomes(verdicts, plans, bars, actions, last=record.period.last, costs=record.rules.costs)


def controls_of(record: Record) -> tuple[ControlRecord, ...]:
    """Vetoes by control, most frequent first; a veto counts under every control that it names."""
    return record.once("controls", lambda: _controls(record))


def _controls(record: Record) -> tuple[ControlRecord, ...]:
    verdicts = record.read(VERDICTS).filter(pl.col("ruling") == "veto")
    if not verdicts.height:
        return ()
    played = outcomes_of(record)
    named = verdicts.select(pl.col("controls").str.split(",").alias("control")).explode("control")
    counts = named.group_by("control").len().sort(["len", "control"], descending=[True, False])
    return tuple(_control(control or "unnamed", vetoes, played) for control, vetoes in counts.iter_rows())


def _control(control: str, vetoes: int, played: Sequence[VetoOutcome]) -> ControlRecord:
    own = [outcome for outcome in played if control in outcome.controls]
    filled = [outcome for outcome in own if outcome.outcome != "not filled"]
    return ControlRecord(
        control=control,
        vetoes=vetoes,
        replayed=len(own),
        not_filled=len(own) - len(filled),
        would_have_won=sum(outcome.pnl_usd > 0 for outcome in filled),
        would_have_lost=sum(outcome.pnl_usd < 0 for outcome in filled),
        pnl_usd=sum((outcome.pnl_usd for outcome in filled), Decimal(0)),
    )
