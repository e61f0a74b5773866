"""What a trade of the record would have earned with other parameters: its own plan, moved, on the same bars at the same costs.

Each trade is replayed alone: as it was ordered, and with stop, target or size as the other parameters would have set them. Only the
difference of the two replays counts, so that what the replay cannot know is mostly the same on both sides. What it cannot know:
cash, limits and other positions, trims; and, of a trade that outlives the desk's own, whether its thesis would have ended it: it
runs to its stop, its target, or the longest that its strategy holds. An exit that the desk decided is made at the session's open.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from functools import cached_property
from typing import Any, Literal

import polars as pl

from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.money import to_tick
from trading_assets.core.parameters import BOUNDS, Parameters, Tuned
from trading_assets.core.ports import Span
from trading_assets.core.preferences import Preferences
from trading_assets.evaluation.benchmark import rows_by_symbol
from trading_assets.execution.book import place
from trading_assets.execution.model import Book, Costs, Order
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.ports import Intent
from trading_assets.execution.settlement import Opening, open_session, settle
from trading_assets.plans.model import TradePlan
from trading_assets.plans.strategies import STRATEGIES
from trading_assets.plans.strategies.model import ordered, reward_to_risk
from trading_assets.signatures.model import SIGNERS, Verdict

Row = Mapping[str, Any]
Rows = Mapping[str, Mapping[date, Sequence[Row]]]
Ended = Literal["not filled", "closed", "still open"]
_FRACTIONS = ("stop_fraction", "target_fraction")
_ATR = ("stop_atr", "target_atr")
_ATR_STRATEGIES = ("correlation_convergence", "momentum_breakout", "narrative_momentum", "sector_rotation")
BRACKETS: Mapping[str, tuple[str, str]] = {"vwap_momentum": _FRACTIONS, **dict.fromkeys(_ATR_STRATEGIES, _ATR)}
"""By strategy, the parameters that set its stop and its target; the others take them from the levels that they see."""


def no_intraday(_symbol: str, _session: date) -> Sequence[Row]:
    """The intraday bars of a record that has none."""
    return ()


@dataclass(frozen=True)
class Market:
    """What happened up to and including the session `last`: bars, corporate actions, and what trading costs at the paper broker."""

    bars: Rows
    actions: Rows
    last: date
    costs: Costs
    intraday: Callable[[str, date], Sequence[Row]] = no_intraday

    @classmethod
    def of(
        cls,
        bars: pl.DataFrame,
        actions: pl.DataFrame,
        span: Span,
        costs: Costs,
        intraday: Callable[[str, date], Sequence[Row]] = no_intraday,
    ) -> "Market":
        """From rows of DAILY_BARS and CORPORATE_ACTIONS; nothing after the span's last session is looked at."""
        return cls(rows_by_symbol(bars, span), rows_by_symbol(actions, span), span.last, costs, intraday)


@dataclass(frozen=True, slots=True)
class Past:
    """A closed trade of the record: its entry as it was ordered, when it closed, and when the desk decided to leave, if it did."""

    trade_id: str
    plan: TradePlan
    quantity: int
    closed: date
    left: date | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """A trade played to its end, or valued after the last session; `pnl_usd` is after fees, `closed` None while it is open."""

    ended: Ended
    pnl_usd: Decimal
    closed: date | None


def past_trades(trades: pl.DataFrame, intents: Sequence[Intent]) -> tuple[Past, ...]:
    """The closed trades with the intents that opened them, in the order in which they closed.

    Args:
        trades: Rows of TRADES; one that no intent explains is left out.
        intents: Of the same book.
    """
    opened = {intent.id: intent for intent in intents if intent.plan.action == "enter"}
    return tuple(
        Past(
            trade_id=row["trade_id"],
            plan=opened[row["trade_id"]].plan,
            quantity=opened[row["trade_id"]].quantity,
            closed=row["session"],
            left=row["session"] if row["exit_reason"] == "exit" else None,
        )
        for row in trades.sort("session", "trade_id").iter_rows(named=True)
        if row["trade_id"] in opened
    )


@dataclass(frozen=True)
class History:
    """The closed trades of a book in the order in which they closed, with everything that a replay of them needs.

    `tuned` says what was in force on each session: a trade is moved from there.
    """

    trades: tuple[Past, ...]
    tuned: Tuned
    market: Market
    preferences: Preferences

    @cached_property
    def _as_it_was(self) -> dict[str, Decimal]:
        """What each trade earns when it is replayed as it was ordered, USD; filled as it is asked for."""
        return {}

    def gains(self, values: Mapping[str, Any]) -> tuple[Decimal, ...]:
        """What each trade would have earned more, USD, with other values; of those that the values would have changed."""
        found = (self._gain(past, self._with(past, lambda _: values)) for past in self.trades)
        return tuple(each for each in found if each is not None)

    def gains_by_steps(self, steps: Mapping[str, int]) -> tuple[Decimal, ...]:
        """The same with each parameter so many steps away from where it was on the day of the trade."""

        def moved(before: Parameters) -> Mapping[str, Any]:
            return {name: BOUNDS[name].moved(getattr(before, name), count) for name, count in steps.items()}

        found = (self._gain(past, self._with(past, moved)) for past in self.trades)
        return tuple(each for each in found if each is not None)

    def _with(
        self, past: Past, values: Callable[[Parameters], Mapping[str, Any]]
    ) -> tuple[Parameters, Parameters] | None:
        """The parameters of the trade's session and the other ones; None where those cannot stand together."""
        before = self.tuned.at(past.plan.session)
        try:
            return before, before.with_values(values(before))
        except ValueError:
            return None

    def _gain(self, past: Past, parameters: tuple[Parameters, Parameters] | None) -> Decimal | None:
        if parameters is None:
            return None
        moved = moved_plan(past.plan, past.quantity, *parameters, self.preferences)
        if moved == (past.plan, past.quantity):
            return None
        if past.trade_id not in self._as_it_was:
            self._as_it_was[past.trade_id] = replay(past.plan, past.quantity, self.market, left=past.left).pnl_usd
        other = replay(*moved, self.market, left=past.left).pnl_usd if moved else Decimal(0)
        return other - self._as_it_was[past.trade_id]


def moved_plan(
    plan: TradePlan, quantity: int, before: Parameters, after: Parameters, preferences: Preferences
) -> tuple[TradePlan, int] | None:
    """The entry as other parameters would have ordered it; None where it would not have been opened.

    Stop and target move by what their parameters moved, in the unit that the plan itself shows: the way from stop to target is
    the sum of both parameters. The size follows the distance of the stop where risk sets it, and the wanted position otherwise.
    """
    other = _rebracketed(plan, before, after)
    if other is None or (other is not plan and not _allowed(other, preferences)):
        return None
    was, now = _weight(plan, before, preferences), _weight(other, after, preferences)
    shares = int((quantity * now / was).to_integral_value(rounding=ROUND_FLOOR)) if was > 0 else 0
    return (other, shares) if shares >= 1 else None


def replay(plan: TradePlan, quantity: int, market: Market, *, left: date | None = None) -> Replayed:
    """Plays an entry through the paper broker, alone and with cash enough.

    Args:
        left: The session at whose open it is sold if it is still held.
    """
    cash = 2 * plan.entry * quantity + 2 * market.costs.fee_min
    opening, traded = _ordered(plan, quantity, cash), False
    for number, session in enumerate(XNYS.sessions(plan.session, market.last)):
        if number:
            due = market.actions.get(plan.symbol, {}).get(session.day, ())
            opening = open_session(opening.book, opening.prices, due, session)
        if _leaves(plan, opening.book, number, session, left):
            opening = replace(opening, book=place(opening.book, [_exit(plan, opening.book, session)]))
        opening, filled = _settled(plan, session, opening, market)
        traded = traded or filled
        if not opening.book.positions:
            return Replayed("closed" if traded else "not filled", opening.book.equity({}) - cash, session.day)
    return Replayed("still open" if traded else "not filled", opening.book.equity(opening.prices) - cash, None)


def _settled(plan: TradePlan, session: Session, opening: Opening, market: Market) -> tuple[Opening, bool]:
    bars = market.bars.get(plan.symbol, {}).get(session.day, ())
    finer = market.intraday(plan.symbol, session.day)
    close = settle(session, opening, bars, market.costs, intraday=finer).close
    return Opening(close.book, close.prices, ()), bool(close.traded_value)


def _leaves(plan: TradePlan, book: Book, number: int, session: Session, left: date | None) -> bool:
    """Whether the position is sold at the open: the desk did, or its strategy holds no longer."""
    if plan.symbol not in book.positions:
        return False
    strategy = STRATEGIES.get(plan.strategy)
    longest = strategy.holding_sessions_max if strategy else 0
    return (left is not None and session.day >= left) or number >= longest


def _exit(plan: TradePlan, book: Book, session: Session) -> Order:
    held = book.positions[plan.symbol].quantity
    return Order(
        id=f"replayed-exit-{session.key}",
        intent_id="replayed-exit",
        symbol=plan.symbol,
        side="sell" if held > 0 else "buy",
        type="market",
        role="exit",
        quantity=abs(held),
        placed_at=session.open,
        session=session.day,
        time_in_force="day",
    )


def _ordered(plan: TradePlan, quantity: int, cash: Decimal) -> Opening:
    approved = Verdict(
        signer=SIGNERS[0],
        plan_id=plan.id,
        plan_digest=plan.digest,
        ruling="approve",
        quantity=quantity,
        breaches=(),
    )
    orders = orders_of(intent_for(plan, approved, book="replayed", limits_hash=""))
    return Opening(place(Book(cash=cash), orders), {}, ())


def _rebracketed(plan: TradePlan, before: Parameters, after: Parameters) -> TradePlan | None:
    """The plan with stop and target where the other parameters put them; None where no broker would take the bracket."""
    names = BRACKETS.get(plan.strategy)
    if names is None or plan.stop is None or plan.target is None:
        return plan
    stop, target = (_exact(after, name) - _exact(before, name) for name in names)
    if not (stop or target):
        return plan
    unit = (plan.target - plan.stop) / sum((_exact(before, name) for name in names), Decimal(0))
    moved = {"stop": to_tick(plan.stop - unit * stop), "target": to_tick(plan.target + unit * target)}
    return plan.model_copy(update=moved) if ordered(plan.side, plan.entry, moved["stop"], moved["target"]) else None


def _allowed(plan: TradePlan, preferences: Preferences) -> bool:
    """Whether the limits on a plan's bracket let it be opened."""
    if plan.stop is None or plan.target is None:
        return False
    distance, worth = abs(plan.entry - plan.stop) / plan.entry, reward_to_risk(plan.entry, plan.stop, plan.target)
    near, far = (Decimal(str(each)) for each in _stop_distances(preferences))
    return near <= distance <= far and worth >= Decimal(str(preferences.reward_to_risk_min))


def _stop_distances(preferences: Preferences) -> Iterator[float]:
    yield preferences.stop_distance_fraction_min
    yield preferences.stop_distance_fraction_max


def _weight(plan: TradePlan, parameters: Parameters, preferences: Preferences) -> Decimal:
    """What the position would weigh, as a fraction of equity, before what all parameters leave alone."""
    position = Decimal(str(min(parameters.position_fraction, preferences.position_fraction_max)))
    if plan.stop is None or plan.stop == plan.entry:
        return Decimal(0)
    distance = abs(plan.entry - plan.stop) / plan.entry
    return min(position, Decimal(str(preferences.risk_per_trade_fraction_max)) / distance)


def _exact(parameters: Parameters, name: str) -> Decimal:
    return Decimal(str(getattr(parameters, name)))
