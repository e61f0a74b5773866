"""Decisions, votes and theses behind the trades of the small books."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from tests.evaluation.books import day, plan, rows
from trading_assets.core.calendar import XNYS
from trading_assets.core.ids import short_id
from trading_assets.evaluation.model import DECISION_EVIDENCE
from trading_assets.execution.model import ORDERS
from trading_assets.plans.model import TRADE_PLANS, VOTES, TradePlan
from trading_assets.theses.model import THESES

BOOK = "backtest"
VOTED = {"contrarian": 0.5, "momentum": -0.25, "technical": 0.25}
WEIGHTS = {"contrarian": 1.0, "momentum": 1.0, "technical": 2.0}


def trade_id(entry: TradePlan) -> str:
    """The trade that a plan opens."""
    return short_id(BOOK, entry.id)


def entry(number: int, **more: Any) -> TradePlan:
    """An entry of `books.plan` with votes on it."""
    return plan(number, votes=VOTED, consensus=0.25, **more)


def plan_rows(*plans: TradePlan) -> pl.DataFrame:
    """Rows of TRADE_PLANS."""
    given = [
        {
            **each.model_dump(exclude={"as_of", "reasons", "votes"}),
            "plan_id": each.id,
            "plan_digest": each.digest,
            "votes": json.dumps(dict(each.votes)),
            "reasons": json.dumps(each.reasons),
        }
        for each in plans
    ]
    known = [{name: row.get(name) for name in TRADE_PLANS.polars_schema() if name != "knowable_at"} for row in given]
    return rows(TRADE_PLANS, known)


def vote_rows(*plans: TradePlan, weights: Mapping[str, float] = WEIGHTS, **more: Any) -> pl.DataFrame:
    """Rows of VOTES on the plans' candidates."""
    given = [
        {
            **{name: getattr(each, name) for name in ("session", "slot", "strategy", "symbol", "side")},
            "persona": persona,
            "vote": each.votes.get(persona, 0.0),
            "weight": weight,
            "alone": "enter",
            "consensus": 0.25,
            "outcome": "planned",
            "quantity_alone": 10,
            "reason": "Why.",
            **_origin(**more),
        }
        for each in plans
        for persona, weight in weights.items()
    ]
    return rows(VOTES, given)


def thesis_row(entry_: TradePlan, counts: Mapping[str, float], **more: Any) -> dict[str, Any]:
    """The thesis of a plan as it stood in its slot; its confidence is that of its sources unless given."""
    contributions = [{"source": source, "log_odds": worth, "counts": worth} for source, worth in counts.items()]
    row: dict[str, Any] = {
        "session": entry_.session,
        "slot": entry_.slot,
        "thesis_id": entry_.thesis_id,
        "symbol": entry_.symbol,
        "direction": "long",
        "claim": "It rises.",
        "horizon": "swing",
        "formed": entry_.session,
        "expires": entry_.session + timedelta(days=20),
        "reference": Decimal(100),
        "target": Decimal(110),
        "invalidation": Decimal(95),
        "regime": "range",
        "author": "rules",
        "confidence": 1 / (1 + 2.718281828459045 ** -sum(counts.values())),
        "confidence_formed": 0.6,
        "contributions": json.dumps(contributions),
        "status": "active",
        "outcome": "",
    }
    return {**row, **more}


def theses(*given: dict[str, Any]) -> pl.DataFrame:
    """Rows of THESES."""
    return rows(THESES, given)


def evidence_row(number: int, evidence: str = "rules", **more: Any) -> dict[str, Any]:
    """One decided slot."""
    row = {
        "session": day(number),
        "slot": "09:30",
        "state": "ACTIVE",
        "evidence": evidence,
        "book_evidence": evidence,
        "models": "",
        "plans": 1,
        "vetoes": 0,
        "calls": 0,
        "model_cost": 0.0,
    }
    return {**row, **more}


def evidences(*given: dict[str, Any]) -> pl.DataFrame:
    """Rows of DECISION_EVIDENCE."""
    return rows(DECISION_EVIDENCE, given)


def order_row(entry_: TradePlan, role: str, **more: Any) -> dict[str, Any]:
    """One leg of a plan's bracket, or its market order."""
    kinds = {
        "entry": "limit",
        "addition": "limit",
        "stop": "stop",
        "target": "limit",
        "close": "market",
        "exit": "market",
    }
    opens = role in {"entry", "addition"}
    row = {
        "session": entry_.session,
        "slot": entry_.slot,
        "strategy": entry_.strategy,
        "order_id": f"{trade_id(entry_)}-{role}",
        "intent_id": trade_id(entry_),
        "symbol": entry_.symbol,
        "side": "buy" if opens == (entry_.side == "long") else "sell",
        "type": kinds[role],
        "role": role,
        "quantity": entry_.quantity,
        "limit_price": {"entry": entry_.entry, "target": entry_.target}.get(role),
        "stop_price": entry_.stop if role == "stop" else None,
        "time_in_force": "day",
    }
    return {**row, **more}


def orders(*given: dict[str, Any]) -> pl.DataFrame:
    """Rows of ORDERS, placed at the open of their sessions."""
    placed = [{**row, "knowable_at": XNYS.session(row["session"]).open} for row in given]
    return pl.DataFrame(placed, schema=dict(ORDERS.polars_schema()), orient="row") if placed else ORDERS.empty()


def said(*given: tuple[int, str, str, str], slot: str | None = None) -> pl.DataFrame:
    """Who gave an opinion: session number, route, model and label; with the slot where it is a vote."""
    schema = {"session": pl.Date, "route": pl.String, "model": pl.String, "leakage": pl.String}
    told: Sequence[dict[str, Any]] = [
        {"session": day(number), "route": route, "model": model, "leakage": leakage}
        for number, route, model, leakage in given
    ]
    frame = pl.DataFrame(told, schema=schema)
    return frame if slot is None else frame.with_columns(pl.lit(slot).alias("slot"))


def _origin(route: str = "rules", model: str = "", leakage: str = "clean", answer_key: str = "") -> dict[str, str]:
    return {"route": route, "model": model, "leakage": leakage, "answer_key": answer_key}
