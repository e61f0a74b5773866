"""One review: measured, advised on, and turned into a row, suggestions and at most one message. It orders nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import Any, get_args

from trading_assets.briefs.facts import Facts, Row
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import SlotRefused
from trading_assets.core.messages import Draft, RegimeChanged
from trading_assets.core.money import to_tick
from trading_assets.core.operations import Adaptor
from trading_assets.core.parameters import BOUNDS, Parameters, Suggestion
from trading_assets.core.settings import Decisions
from trading_assets.core.slots import NoSlot, Slot, due_slot
from trading_assets.execution.adaptor.market import Standing, standing_of, turned
from trading_assets.execution.adaptor.model import UNKNOWN
from trading_assets.execution.adaptor.roles import ADAPTOR, AdaptorInputs, Advice, MoveName, View
from trading_assets.execution.counsel import Counsel
from trading_assets.execution.looking import World, opening_of
from trading_assets.execution.ports import LedgerSession
from trading_assets.execution.rules import Rules
from trading_assets.plans.portfolio import FOREIGN
from trading_assets.plans.strategies.intraday import fresh_bar
from trading_assets.reasoning.model import Abstention, Answer, Ask
from trading_assets.reasoning.origin import ORIGIN, origin_of
from trading_assets.regimes.model import MARKET

SENDER = "adaptor"
ORIGIN_NAME = "adaptor"
NO_INTRADAY = "there are no fresh intraday bars of the session: on daily bars nothing is advised"
MOVES: tuple[MoveName, ...] = get_args(MoveName)
_VIEWS = frozenset(get_args(View))


@dataclass(frozen=True, slots=True)
class BookToday:
    """The book in session: gain or loss since the last close, USD and as a fraction of its equity then, and who holds what."""

    pnl: Decimal | None
    fraction: float | None
    strategies: tuple[str, ...]
    holdings: int


@dataclass(frozen=True, slots=True)
class Review:
    """What a review leaves: a row of REVIEWS, suggestions of one step each, and what the bus is told."""

    row: Mapping[str, Any]
    suggestions: tuple[Suggestion, ...] = ()
    drafts: tuple[Draft, ...] = ()


def review_labels(settings: Adaptor) -> tuple[str, ...]:
    """When the session is reviewed, New York HH:MM."""
    hours = range(settings.first_hour, settings.last_hour + 1)
    return tuple(time(hour, settings.minute).isoformat("minutes") for hour in hours)


def review_due_or_refused(
    keys: Sequence[str], label: str, *, now: datetime, settings: Adaptor, decisions: Decisions
) -> Slot:
    """The review that is due now, if it is the one that was asked for; SlotRefused otherwise."""
    due = due_slot(XNYS, review_labels(settings), as_of=now, grace=decisions.grace)
    asked = f"{', '.join(keys) or 'today'} {label or 'whichever is due'}"
    if not settings.enabled:
        raise SlotRefused(
            "the hourly review is switched off", value=asked, hint="config/operations.yaml: adaptor.enabled"
        )
    if isinstance(due, NoSlot):
        raise SlotRefused(f"no review is due; {due.reason}", value=asked)
    if list(keys) not in ([], [due.session.key]) or label not in {"", due.label}:
        raise SlotRefused("only the review that is due is made", value=asked, bound=f"{due.session.key} {due.label}")
    return due


def book_today(slot: Slot, world: World, rules: Rules, ledger: LedgerSession, facts: Facts) -> BookToday:
    """The book marked at the session's own prices; what has no fresh one counts at its last price."""
    close = ledger.latest_close(slot.session.day)
    before = close.equity if close else rules.first_book.cash
    opening = opening_of(slot.session, world, rules, ledger)
    entries = ledger.entries_of(sorted(opening.book.positions))
    prices = {symbol: _price(facts, symbol, slot) or opening.prices[symbol] for symbol in opening.book.positions}
    pnl = opening.book.equity(prices) - before
    held = {entries[symbol].plan.strategy if symbol in entries else FOREIGN for symbol in opening.book.positions}
    fraction = round(float(pnl / before), 6) if before > 0 else None
    return BookToday(pnl, fraction, tuple(sorted(held)), len(opening.book.positions))


def review(
    slot: Slot,
    facts: Facts,
    bars: Sequence[Row],
    book: BookToday,
    parameters: Parameters,
    counsel: Counsel,
    *,
    before: Sequence[Row] = (),
) -> Review:
    """The review of one hour.

    Args:
        bars: Rows of INTRADAY_FEATURES of the session.
        parameters: Those that a proposal would move: in force from the next session on.
        before: Rows of REVIEWS of the session's earlier reviews: a turn is told when the review before has seen it too.
    """
    now = standing_of(facts, bars, slot)
    view_open = _view(str(facts.market_regime["strategy_view"]) if facts.market_regime else UNKNOWN)
    inputs = _inputs(now, view_open, book, parameters)
    if inputs is None:
        flags = (
            (NO_INTRADAY,) if not now.symbols else ("the market or the book could not be measured: nothing is advised",)
        )
        return Review(_row(slot, now, view_open, book, flags, None, ()))
    ask = Ask(ADAPTOR, inputs, counsel.budget_of(slot), slot.at)
    [answer] = counsel.reasoner.gather([ask], within=counsel.patience)
    advice = None if isinstance(answer, Abstention) else answer
    suggestions = _suggestions(slot, inputs, advice, parameters) if advice else ()
    flags = (
        *_flags(inputs),
        *((f"the adaptor was silent: {answer.reason}",) if isinstance(answer, Abstention) else ()),
    )
    row = _row(slot, now, view_open, book, flags, advice, suggestions)
    return Review(row, suggestions, _drafts(slot, view_open, now.view, before))


def tighter(name: MoveName, parameters: Parameters) -> float | None:
    """The parameter one step smaller; None where that leaves its bounds."""
    return BOUNDS[name].moved(getattr(parameters, name), -1)


def _inputs(now: Standing, view_open: View, book: BookToday, parameters: Parameters) -> AdaptorInputs | None:
    """What the adaptor is asked about; None where the session or the book is not known well enough to be judged."""
    if now.up_share is None or now.above_vwap_share is None or now.move is None or book.fraction is None:
        return None
    return AdaptorInputs(
        view_open=view_open,
        view_now=_view(now.view),
        turned=turned(view_open, now.view),
        symbols=now.symbols,
        up_share=now.up_share,
        above_vwap_share=now.above_vwap_share,
        move=now.move,
        volatility_ratio=now.volatility_ratio,
        day_pnl_fraction=book.fraction,
        holdings=book.holdings,
        strategies=book.strategies,
        may_move=tuple(name for name in MOVES if tighter(name, parameters) is not None),
    )


def _suggestions(
    slot: Slot, inputs: AdaptorInputs, answer: Answer[Advice], parameters: Parameters
) -> tuple[Suggestion, ...]:
    evidence = {**inputs.model_dump(mode="json", exclude={"may_move"}), "review": f"{slot.session.key} {slot.label}"}
    evidence |= {"route": answer.route, "model": answer.model, "answer_key": answer.key}
    reason = " ".join(answer.value.reasons)
    wanted = ((name, tighter(name, parameters)) for name in answer.value.moves)
    return tuple(
        Suggestion(name, getattr(parameters, name), after, reason, evidence, 0)
        for name, after in wanted
        if after is not None
    )


def _flags(inputs: AdaptorInputs) -> tuple[str, ...]:
    told = []
    if inputs.turned:
        told.append(f"the session is {inputs.view_now}, and the day was planned on {inputs.view_open}")
    if inputs.volatility_ratio is None:
        told.append("too few bars to measure how much the market moves")
    return tuple(told)


def _drafts(slot: Slot, view_open: View, view_now: str, before: Sequence[Row]) -> tuple[Draft, ...]:
    """The turn of the market, once it has been seen twice in a row: one hour is noise as often as not."""
    last = max(before, key=lambda row: str(row["slot"]), default=None)
    confirmed = last is not None and last["view_now"] == view_now and str(last["slot"]) < slot.label
    if not confirmed or not turned(view_open, view_now):
        return ()
    payload = RegimeChanged(symbol=MARKET, before=view_open, after=view_now)
    name = f"review/{slot.session.key}/{view_now}"
    return (Draft("desk", slot.session.day, slot.at, SENDER, payload, correlation_id=name),)


def _row(
    slot: Slot,
    now: Standing,
    view_open: str,
    book: BookToday,
    flags: Sequence[str],
    answer: Answer[Advice] | None,
    suggestions: Sequence[Suggestion],
) -> dict[str, Any]:
    nobody = {column.name: "clean" if column.name == "leakage" else "" for column in ORIGIN}
    return {
        "session": slot.session.day,
        "slot": slot.label,
        "view_open": view_open,
        "view_now": now.view,
        "turned": turned(view_open, now.view),
        "symbols": now.symbols,
        "up_share": now.up_share,
        "above_vwap_share": now.above_vwap_share,
        "move": now.move,
        "volatility_ratio": now.volatility_ratio,
        "day_pnl_usd": None if book.pnl is None else round(float(book.pnl), 2),
        "day_pnl_fraction": book.fraction,
        "strategies": json.dumps(book.strategies),
        "flags": json.dumps(list(flags), ensure_ascii=False),
        "advice": answer.value.advice if answer else "none",
        "moves": json.dumps({each.name: [each.before, each.after] for each in suggestions}, sort_keys=True),
        "reasons": json.dumps(answer.value.reasons if answer else [], ensure_ascii=False),
        **(origin_of(answer) if answer else nobody),
        "knowable_at": slot.at,
    }


def _price(facts: Facts, symbol: str, slot: Slot) -> Decimal | None:
    row = fresh_bar(facts.intraday.get(symbol), slot)
    price = to_tick(row["close"]) if row is not None else None
    return price if price is not None and price > 0 else None


def _view(name: str) -> View:
    return name if name in _VIEWS else "unknown"  # type: ignore[return-value] # it is one of them
