"""Report cards: what a closed round trip says about the decision that opened it, without its luck.

The grade counts points for what was known and decided: what the plan offered for its risk, how far the votes agreed, how sure the
thesis was, and whether the position ended as planned. What the trade earned has no part in it: a good decision can lose, and a
careless one can win. The card's sentences hold no symbol, no day and no price, for they go into masked prompts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from trading_assets.core.errors import PermanentFailure
from trading_assets.execution.corporate import Action
from trading_assets.execution.model import Fill
from trading_assets.execution.ports import DividendPaid, Intent
from trading_assets.execution.round_trips import Origin, RoundTrip, round_trips
from trading_assets.plans.model import TradePlan
from trading_assets.theses.memory.model import Grade, Lesson

GRADES: tuple[tuple[int, Grade], ...] = ((7, "A"), (5, "B"), (4, "C"), (2, "D"), (0, "F"))
POINTS_MAX = 8
SOUND = frozenset[Grade]({"A", "B"})
# What earns two points and what earns one.
REWARD = (Decimal("2.0"), Decimal("1.5"))
CONSENSUS = (0.5, 0.2)
CONFIDENCE = (0.65, 0.55)
AS_PLANNED = frozenset({"stop", "target", "close"})
_PLACES = 6
Row = Mapping[str, Any]


class TradeBook(Protocol):
    """What the ledger must be able to tell of trades."""

    def trade_history(
        self, session: date, *, split: Collection[str] = ()
    ) -> tuple[Sequence[Fill], Sequence[DividendPaid], Sequence[Intent]]:
        """See LedgerSession."""
        ...


def trips_closed_in(
    ledger: TradeBook, splits: Iterable[Row], session: date
) -> tuple[tuple[RoundTrip, ...], Mapping[str, Intent]]:
    """The round trips that a settled session closed, and the intents that opened them, by id.

    A session that reduced no position costs one query; otherwise only what is open of the symbols that it touched is read.

    Args:
        splits: Rows of CORPORATE_ACTIONS, all that the book may have lived through up to the session; other kinds are ignored.
    """
    due = [Action.from_row(row) for row in splits if row["kind"] == "split" and row["session"] <= session]
    fills, paid, intents = ledger.trade_history(session, split={action.symbol for action in due})
    if not fills:
        return (), {}
    by_id = {intent.id: intent for intent in intents}
    symbols = {fill.symbol for fill in fills}
    origins = {id_: _origin(intent.plan) for id_, intent in by_id.items()}
    trips = round_trips(fills, [action for action in due if action.symbol in symbols], paid, origins)
    closed = tuple(trip for trip in trips if trip.session == session)
    return closed, {trip.trade_id: by_id[trip.trade_id] for trip in closed}


def cards(trips: Sequence[RoundTrip], intents: Mapping[str, Intent], *, at: datetime) -> tuple[Lesson, ...]:
    """One lesson for each trip, knowable from `at` on.

    Args:
        trips: Closed round trips.
        intents: By id, at least the one that opened each trip.
        at: When the trips were settled.

    Raises:
        PermanentFailure: A trip's opening intent is missing, or the trip was not over by then.
    """
    return tuple(_card(trip, _opening(trip, intents, at), at) for trip in trips)


def points_of(plan: TradePlan, exit_reason: str) -> Mapping[str, int]:
    """What a decision earns, 0 to 2 for each of its four parts.

    Where nobody voted, agreement earns one point: it is neither for the decision nor against it.
    """
    ratio, consensus = plan.reward_to_risk, plan.consensus
    return {
        "reward for risk": 0 if ratio is None else _points(ratio, REWARD),
        "agreement": 1 if consensus is None else _points(consensus, CONSENSUS),
        "confidence": _points(plan.confidence, CONFIDENCE),
        "exit": 2 if exit_reason in AS_PLANNED else 1,
    }


def _points(value: Any, bounds: tuple[Any, Any]) -> int:
    return sum(value >= bound for bound in bounds)


def _opening(trip: RoundTrip, intents: Mapping[str, Intent], at: datetime) -> TradePlan:
    if trip.trade_id not in intents:
        raise PermanentFailure("a closed trade's opening intent is not known", value=trip.trade_id)
    if trip.knowable_at > at:
        raise PermanentFailure(
            "a report card cannot be written before its trade is over", value=at, bound=trip.knowable_at
        )
    return intents[trip.trade_id].plan


def _card(trip: RoundTrip, plan: TradePlan, at: datetime) -> Lesson:
    points = points_of(plan, trip.exit_reason)
    grade = next(grade for least, grade in GRADES if sum(points.values()) >= least)
    r_multiple = _r_multiple(trip, plan)
    return Lesson(
        id=trip.trade_id,
        session=trip.session,
        resolved_at=at,
        symbol=trip.symbol,
        strategy=trip.strategy,
        regime=trip.regime,
        direction=plan.side,
        thesis_id=plan.thesis_id,
        confidence=plan.confidence,
        votes=plan.votes,
        opened=trip.opened,
        sessions_held=trip.sessions_held,
        exit_reason=trip.exit_reason,
        pnl=trip.pnl,
        return_fraction=round(trip.return_fraction, _PLACES),
        r_multiple=r_multiple,
        grade=grade,
        lesson=" ".join(_sentences(trip, plan, grade, points, r_multiple)),
    )


def _origin(plan: TradePlan) -> Origin:
    if plan.stop is None:
        raise PermanentFailure("an entry without a stop cannot open a trade", value=plan.id)
    return Origin(plan.strategy, plan.regime, plan.stop)


def _r_multiple(trip: RoundTrip, plan: TradePlan) -> float | None:
    """P&L over what the planned stop would have lost on the shares of the trip; None for an entry beyond its own stop."""
    per_share = trip.entry_price - trip.stop_price
    risk = (per_share if plan.side == "long" else -per_share) * trip.quantity
    return round(float(trip.pnl / risk), _PLACES) if risk > 0 else None


def _sentences(
    trip: RoundTrip, plan: TradePlan, grade: Grade, points: Mapping[str, int], r_multiple: float | None
) -> tuple[str, ...]:
    """What happened, how good the decision was, and what to take from it."""
    return (_outcome(trip, plan, r_multiple), _process(plan), _advice(trip.pnl > 0, grade, points))


def _outcome(trip: RoundTrip, plan: TradePlan, r_multiple: float | None) -> str:
    size = (
        f"{trip.return_fraction:+.1%}" if r_multiple is None else f"{r_multiple:+.2f} R ({trip.return_fraction:+.1%})"
    )
    held = "1 session" if trip.sessions_held == 1 else f"{trip.sessions_held} sessions"
    ended = _ENDED.get(trip.exit_reason, f"by {trip.exit_reason}")
    name, regime = plan.strategy.replace("_", " "), plan.regime.replace("_", " ")
    return f"A {plan.side} {name} trade in a {regime} regime made {size} in {held} and ended {ended}."


_ENDED = {
    "stop": "at its stop",
    "target": "at its target",
    "close": "flat at the close, as planned",
    "exit": "by a later decision",
}


def _process(plan: TradePlan) -> str:
    ratio = "no reward for its risk" if plan.reward_to_risk is None else f"{plan.reward_to_risk:.1f} R for 1 R of risk"
    if plan.consensus is None:
        return f"The plan offered {ratio} at confidence {plan.confidence:.2f}; nobody voted on it."
    against = sum(vote < 0 for vote in plan.votes.values())
    return (
        f"The plan offered {ratio} at confidence {plan.confidence:.2f}, with a consensus of {plan.consensus:+.2f} "
        f"and {against} of {len(plan.votes)} votes against it."
    )


def _advice(won: bool, grade: Grade, points: Mapping[str, int]) -> str:
    weakest = min(points, key=lambda part: (points[part], part))
    if grade in SOUND:
        return (
            "The decision was sound and paid: act alike when as much agrees."
            if won
            else "The decision was sound and the loss was its price: one such loss is no reason to change the setup."
        )
    if won:
        return f"The gain owes more to luck than to the decision: its {weakest} was weak, so do not size up on it."
    return f"The decision was weak before it lost: wait for more in its {weakest} before the like is opened again."
