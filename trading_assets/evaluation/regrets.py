"""Trades that should not have been made: entries that were poor on what was known then, whatever came of them.

A bad decision can win and a good one can lose; only decisions are a reason to change something. Each closed trade is judged by its
plan, by the report card's grade, and by what the book's own record said before the plan was made. Records that are too short judge
nobody.
"""

import json
from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import polars as pl

from trading_assets.core.ids import short_id
from trading_assets.core.preferences import Preferences
from trading_assets.execution.matching import fee
from trading_assets.execution.model import Costs
from trading_assets.plans.strategies import STRATEGIES

Kind = Literal["grade", "reward", "costs", "stance", "regime", "confidence", "losing strategy"]
KINDS: tuple[Kind, ...] = ("grade", "reward", "costs", "stance", "regime", "confidence", "losing strategy")
POOR = frozenset({"D", "F"})
RECORD_MIN = 20  # trades, before a level of confidence is read from them
ABOVE_MIN = 10  # trades at a level or above it, for it to count
WINDOW = 10  # trades of a strategy
WINDOWS, WINDOWS_LOST = 3, 2
WORST_SHOWN = 10
_BASIS_POINT = Decimal("0.0001")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that was wrong with a decision, as a sentence with its numbers."""

    kind: Kind
    sentence: str


@dataclass(frozen=True, slots=True)
class JudgedTrade:
    """A closed trade and what was wrong with its entry; nothing where it was sound."""

    trade_id: str
    session: date
    opened: date
    symbol: str
    strategy: str
    pnl_usd: Decimal
    faults: tuple[Fault, ...]

    @property
    def is_bad(self) -> bool:
        """Whether it should not have been made."""
        return bool(self.faults)

    @property
    def why(self) -> str:
        """Every fault in words."""
        return "; ".join(fault.sentence for fault in self.faults)


@dataclass(frozen=True, slots=True)
class Cell:
    """Some trades: how many, and what they earned, USD."""

    trades: int
    pnl_usd: Decimal


@dataclass(frozen=True, slots=True)
class Regrets:
    """Decisions against outcomes. A trade that earned nothing counts as lost: its costs and its risk were for nothing.

    `worst` are bad decisions that lost, the dearest first. A trade may stand under several faults. `unjudged` trades have no plan
    on record.
    """

    good_won: Cell
    good_lost: Cell
    bad_won: Cell
    bad_lost: Cell
    by_fault: Mapping[Kind, Cell]
    worst: tuple[JudgedTrade, ...]
    judged: tuple[JudgedTrade, ...]
    unjudged: int


def regrets(
    trades: pl.DataFrame,
    plans: pl.DataFrame,
    lessons: pl.DataFrame,
    stances: pl.DataFrame,
    *,
    lane: str,
    preferences: Preferences,
    costs: Costs,
) -> Regrets:
    """All closed trades of a book, judged.

    Args:
        trades: Rows of TRADES.
        plans: Rows of TRADE_PLANS; a trade is found by the plan that opened it.
        lessons: Rows of LESSONS, for the grades.
        stances: Rows of STANCES.
        lane: The book: a trade carries the id that its lane made from the plan's.
        preferences: The operator's limits.
        costs: The paper broker's.
    """
    grades = dict(lessons.select("lesson_id", "grade").iter_rows())
    opened = {short_id(lane, row["plan_id"]): row for row in plans.filter(pl.col("action") == "enter").rows(named=True)}
    said = {row["session"]: row for row in stances.rows(named=True)}
    closed = trades.sort("session", "trade_id").rows(named=True)
    known = [row for row in closed if row["trade_id"] in opened]
    record, done = _Record(), iter(known)
    waiting = next(done, None)
    judged = []
    for trade in sorted(known, key=lambda row: (opened[row["trade_id"]]["knowable_at"], row["trade_id"])):
        plan = opened[trade["trade_id"]]
        while waiting is not None and waiting["knowable_at"] < plan["knowable_at"]:
            record.add(waiting["strategy"], opened[waiting["trade_id"]]["confidence"], waiting["pnl"])
            waiting = next(done, None)
        grade, stance = grades.get(trade["trade_id"]), said.get(plan["session"])
        faults = (*_of_plan(plan, preferences, costs), *_of_day(plan, grade, stance), *record.faults(plan))
        judged.append(_judged(trade, tuple(sorted(faults, key=lambda fault: KINDS.index(fault.kind)))))
    return _counted(tuple(sorted(judged, key=lambda one: (one.session, one.trade_id))), len(closed) - len(known))


def sentences_of(found: Regrets) -> Iterator[str]:
    """The four cells and the dearest mistake, in words; nothing where no trade was judged."""
    if not found.judged:
        return
    good, bad = (found.good_won, found.good_lost), (found.bad_won, found.bad_lost)
    for name, (won, lost) in (("Sound decisions", good), ("Poor decisions", bad)):
        yield f"{name}: {won.trades} won {won.pnl_usd:+,.2f} USD, {lost.trades} lost {lost.pnl_usd:+,.2f} USD."
    for one in found.worst[:1]:
        yield f"Dearest mistake: {one.symbol}, opened {one.opened}, {one.pnl_usd:+,.2f} USD: {one.why}."


def _judged(trade: Row, faults: tuple[Fault, ...]) -> JudgedTrade:
    return JudgedTrade(
        trade_id=trade["trade_id"],
        session=trade["session"],
        opened=trade["opened"],
        symbol=trade["symbol"],
        strategy=trade["strategy"],
        pnl_usd=trade["pnl"],
        faults=faults,
    )


def _counted(judged: tuple[JudgedTrade, ...], unjudged: int) -> Regrets:
    bad = [one for one in judged if one.is_bad]
    good = [one for one in judged if not one.is_bad]
    lost = sorted((one for one in bad if one.pnl_usd <= 0), key=lambda one: (one.pnl_usd, one.trade_id))
    by_fault = {kind: _cell([o for o in bad if any(f.kind == kind for f in o.faults)]) for kind in KINDS}
    return Regrets(
        good_won=_cell([one for one in good if one.pnl_usd > 0]),
        good_lost=_cell([one for one in good if one.pnl_usd <= 0]),
        bad_won=_cell([one for one in bad if one.pnl_usd > 0]),
        bad_lost=_cell(lost),
        by_fault={kind: cell for kind, cell in by_fault.items() if cell.trades},
        worst=tuple(lost[:WORST_SHOWN]),
        judged=judged,
        unjudged=unjudged,
    )


def _cell(some: Sequence[JudgedTrade]) -> Cell:
    return Cell(len(some), sum((one.pnl_usd for one in some), Decimal(0)))


def _of_plan(plan: Row, preferences: Preferences, costs: Costs) -> Iterator[Fault]:
    """What the plan's own numbers say: reward against risk once the way in and out is paid."""
    sign = 1 if plan["side"] == "long" else -1
    risk, reward = sign * (plan["entry"] - plan["stop"]), sign * (plan["target"] - plan["entry"])
    cost = cost_per_share(plan["entry"], plan["quantity"], costs)
    if risk <= cost:
        yield Fault("costs", f"the stop was {risk:.2f} USD away and a round trip costs {cost:.2f} USD a share")
        return
    ratio, least = (reward - cost) / (risk + cost), Decimal(str(preferences.reward_to_risk_min))
    if not ratio >= least:
        yield Fault("reward", f"it offered {ratio:.2f} R for 1 R of risk after costs, below {least}")


def cost_per_share(price: Decimal, quantity: int, costs: Costs) -> Decimal:
    """What a round trip costs a share, USD: the fees of both ways, and the slippage of the way out."""
    return 2 * fee(costs, price, quantity) / quantity + price * costs.slippage_bp * _BASIS_POINT


def _of_day(plan: Row, grade: str | None, stance: Row | None) -> Iterator[Fault]:
    """What the report card, the chief and the regime say."""
    if grade in POOR:
        yield Fault("grade", f"its report card says {grade}")
    if stance is not None and (
        not stance["size_fraction"] > 0 or plan["strategy"] not in json.loads(stance["strategies"])
    ):
        yield Fault("stance", f"the chief said {stance['stance']}, and {plan['strategy']} was not to open")
    strategy = STRATEGIES.get(plan["strategy"])
    if strategy is not None and plan["regime"] not in strategy.views_of(plan["side"]):
        yield Fault("regime", f"{plan['strategy']} has no business on the {plan['side']} side in {plan['regime']}")


@dataclass
class _Record:
    """What was closed before a decision: P&L by confidence, lowest first, and by strategy in the order of closing."""

    by_confidence: list[tuple[float, Decimal]] = field(default_factory=list)
    by_strategy: dict[str, list[Decimal]] = field(default_factory=dict)

    def add(self, strategy: str, confidence: float, pnl: Decimal) -> None:
        insort(self.by_confidence, (confidence, pnl))
        self.by_strategy.setdefault(strategy, []).append(pnl)

    def faults(self, plan: Row) -> Iterator[Fault]:
        level = profitable_from(self.by_confidence)
        if level is not None and plan["confidence"] < level:
            told = f"{plan['confidence']:.2f} is below {level:.2f}, from which {len(self.by_confidence)} trades before had paid"
            yield Fault("confidence", told)
        sums = windows_of(self.by_strategy.get(plan["strategy"], ()))
        lost = sum(each < 0 for each in sums)
        if lost >= WINDOWS_LOST:
            told = f"{plan['strategy']} had lost in {lost} of its last {len(sums)} windows of {WINDOW} trades"
            yield Fault("losing strategy", told)


def profitable_from(record: Sequence[tuple[float, Decimal]]) -> float | None:
    """The lowest confidence such that the trades at it and above it earned money together; None where the record cannot say.

    Args:
        record: Confidence and P&L, sorted.
    """
    if len(record) < RECORD_MIN:
        return None
    found, total = None, Decimal(0)
    for place in range(len(record) - 1, -1, -1):
        confidence, pnl = record[place]
        total += pnl
        last_of_its_kind = place == 0 or record[place - 1][0] < confidence
        if last_of_its_kind and len(record) - place >= ABOVE_MIN and total > 0:
            found = confidence
    return found


def windows_of(pnl: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """Sums of the newest whole windows of a strategy's trades, at most WINDOWS, newest first."""
    whole = min(WINDOWS, len(pnl) // WINDOW)
    ends = (len(pnl) - n * WINDOW for n in range(whole))
    return tuple(sum(pnl[end - WINDOW : end], Decimal(0)) for end in ends)
