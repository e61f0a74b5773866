"""What refused openings would have earned: each is played through the paper broker as if it had been approved, alone and in full.

The result says what a control cost or saved, not what the desk would have earned: cash, limits and other positions are left out. An
addition is played as an entry of its own, with its own stop and target. A plan of a slot after the open needs intraday bars of its
session: a daily bar opened before the plan was made, so without them it is not filled.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.evaluation.benchmark import rows_by_symbol
from trading_assets.execution.book import place
from trading_assets.execution.model import Book, Costs
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.settlement import Opening, open_session, settle
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Verdict

Row = Mapping[str, Any]
Outcome = Literal["not filled", "closed", "still open"]
SESSIONS_MAX = 20
_OPENING = ("enter", "add")


@dataclass(frozen=True, slots=True)
class VetoOutcome:
    """A refused opening played to its stop or target, or valued after the last session looked at; `pnl_usd` is after fees."""

    plan_id: str
    session: date
    symbol: str
    strategy: str
    controls: tuple[str, ...]
    outcome: Outcome
    pnl_usd: Decimal
    action: str = "enter"
    slot: str = ""


def veto_outcomes(
    verdicts: pl.DataFrame,
    plans: pl.DataFrame,
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    last: date,
    costs: Costs,
    intraday: pl.DataFrame | None = None,
) -> tuple[VetoOutcome, ...]:
    """Every vetoed opening with what became of it within SESSIONS_MAX sessions, up to and including the session `last`.

    Args:
        verdicts: Rows of VERDICTS; a plan that several signers refused is one veto with all their controls.
        plans: Rows of TRADE_PLANS; a verdict without its plan is left out.
        bars: Rows of DAILY_BARS.
        actions: Rows of CORPORATE_ACTIONS.
        last: The last session that may be looked at.
        costs: The paper broker's.
        intraday: Rows of INTRADAY_BARS; a session without them is played on daily bars.
    """
    vetoes = (
        verdicts.filter(pl.col("ruling") == "veto")
        .group_by("session", "plan_id", maintain_order=True)
        .agg(pl.col("controls").filter(pl.col("controls") != "").str.join(","))
    )
    entries = plans.filter(pl.col("action").is_in(_OPENING)).join(vetoes, on=["session", "plan_id"], how="inner")
    if entries.is_empty():
        return ()
    span = Span(entries["session"].min(), last)  # type: ignore[arg-type] # a Date column
    traded, due = rows_by_symbol(bars, span), rows_by_symbol(actions, span)
    finer = {} if intraday is None else rows_by_symbol(intraday, span)
    markets = {s: _Market(traded.get(s, {}), due.get(s, {}), finer.get(s, {})) for s in entries["symbol"].unique()}
    rows = entries.sort("session", "plan_id").iter_rows(named=True)
    return tuple(_played(row, markets[row["symbol"]], last, costs) for row in rows)


@dataclass(frozen=True, slots=True)
class _Market:
    """Rows of one symbol by session."""

    bars: Mapping[date, Sequence[Row]]
    actions: Mapping[date, Sequence[Row]]
    intraday: Mapping[date, Sequence[Row]]


def _played(row: Row, market: _Market, last: date, costs: Costs) -> VetoOutcome:
    cash = 2 * row["entry"] * row["quantity"] + 2 * costs.fee_min
    opening = _opened(row, cash)
    filled = False
    for session in XNYS.sessions(row["session"], last)[:SESSIONS_MAX]:
        if session.day != row["session"]:
            opening = open_session(opening.book, opening.prices, market.actions.get(session.day, ()), session)
        intraday = market.intraday.get(session.day, ())
        close = settle(session, opening, market.bars.get(session.day, ()), costs, intraday=intraday).close
        opening = Opening(close.book, close.prices, ())
        filled = filled or bool(close.traded_value)
        if not close.book.positions:
            break
    value = opening.book.equity(opening.prices)
    outcome: Outcome = "not filled" if not filled else "still open" if opening.book.positions else "closed"
    return VetoOutcome(
        plan_id=row["plan_id"],
        session=row["session"],
        symbol=row["symbol"],
        strategy=row["strategy"],
        controls=tuple(filter(None, row["controls"].split(","))),
        outcome=outcome,
        pnl_usd=value - cash,
        action=row["action"],
        slot=row["slot"],
    )


def _opened(row: Row, cash: Decimal) -> Opening:
    plan = TradePlan(
        **{name: row[name] for name in TradePlan.model_fields if name not in {"action", "as_of", "reasons", "votes"}},
        action="enter",
        as_of=row["knowable_at"],
        reasons=tuple(json.loads(row["reasons"])),
        votes=json.loads(row["votes"]),
    )
    approved = Verdict(
        signer="none",
        plan_id=plan.id,
        plan_digest=plan.digest,
        ruling="approve",
        quantity=plan.quantity,
        breaches=(),
    )
    orders = orders_of(intent_for(plan, approved, book="vetoed", limits_hash=""))
    return Opening(place(Book(cash=cash), orders), {}, ())
