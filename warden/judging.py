"""The watchdog's controls W1 to W12: from one look to findings. Pure; what acts on them stands in `hand.py`.

| control | what is wrong | first | later |
|---|---|---|---|
| W1 | shares without a resting stop of their size | a stop is placed after `naked_seconds` | sold after three times that |
| W2 | ledger and broker differ for two of the gateway's looks, cash for longer | halt | |
| W3 | a process, the ledger or the broker is silent; clocks differ | reduce | halt at three times the bound |
| W4 | losses beyond the limits | halt, and everything is sold | |
| W5 | a halt is open, shares are held and the exchange is closed | page | |
| W7 | a page is unanswered and shares are held | sold before the close | |
| W8 | an execution much worse than what was ordered | reduce | |
| W9 | a page is unanswered | page again | |
| W10 | processes run other programs or other limits | reduce | halt at three times the gateway's bound |
| W11 | the broker closed a position by itself | halt | |
| W12 | a day position shortly before the close | sold | halt at the close |
| C29 | another account answers than the one that must | reduce, and nothing is ever sold | |

A halt sells everything, so whatever an ordinary day brings has time to pass: a gateway that is started again books what filled
meanwhile before a difference counts, what nobody watched has not lasted, and a line to the broker that is down while the exchange
is closed halts nobody.

W6, that only an operator resumes, is no finding: there is no way back in this package at all.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from trading_assets.broker.model import ENDED, OrderReport, Snapshot
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.preferences import Preferences
from warden.seen import GAP, LEVELS, Finding, LedgerSeen, Level, Memory, Seen, Sign
from warden.steps import own_part

TIMES = 3
CASH = ("W2", "cash")
LOOKS_MISSED = 10
CASH_PATIENCE = timedelta(minutes=6)
_NOTHING = Decimal(0)
_BASIS_POINT = Decimal("0.0001")
_CLOSE_GUARD = timedelta(minutes=1)
Rule = Callable[[Seen, Memory, ExecutionSettings, Preferences], Iterator[Finding]]


def judge(
    seen: Seen, memory: Memory, settings: ExecutionSettings, preferences: Preferences
) -> tuple[tuple[Finding, ...], Memory]:
    """Everything that is wrong, the worst first, and what is remembered for the next look."""
    memory = memory.awake(seen.now, gap=max(GAP, LOOKS_MISSED * timedelta(seconds=settings.watch.every_seconds)))
    if not is_booked(seen, settings):
        memory = replace(memory, since={key: at for key, at in memory.since.items() if key[0] != "W2"})
    found = [finding for rule in RULES for finding in rule(seen, memory, settings, preferences)]
    worst: dict[tuple[str, str], Finding] = {}
    for finding in found:
        before = worst.get(finding.key)
        if before is None or LEVELS.index(finding.level) > LEVELS.index(before.level):
            worst[finding.key] = finding
    watched = {*worst, *_unsure(seen, settings)}
    since = {key: memory.since.get(key, seen.now) for key in sorted(watched)}
    ordered = sorted(worst.values(), key=lambda each: (-LEVELS.index(each.level), each.key))
    return tuple(ordered), Memory(since, memory.began or seen.now, seen.now)


def gateway_acts(seen: Seen, settings: ExecutionSettings) -> bool:
    """Whether the gateway lives, is connected and looks at the account: then it is given a moment to act first."""
    sign = seen.signs.get("gateway")
    fresh = timedelta(seconds=TIMES * settings.rhythm.heartbeat_seconds)
    return sign is not None and sign.acts and abs(sign.age) <= fresh


def is_booked(seen: Seen, settings: ExecutionSettings) -> bool:
    """Whether anybody books what fills: without a gateway, that it is silent is W3's, and differences are no news."""
    return "gateway" not in settings.watch.processes or gateway_acts(seen, settings)


def differences(seen: Seen, cash_fraction: float) -> Mapping[tuple[str, str], str]:
    """How ledger and broker differ at this moment, in words; empty where one of them was not read."""
    ledger, broker = seen.ledger, seen.broker
    if ledger is None or broker is None:
        return {}
    return {
        **dict(_positions_differ(ledger, broker)),
        **dict(_cash_differs(ledger, broker, Decimal(str(cash_fraction)))),
        **dict(_orders_differ(ledger, broker)),
    }


def naked(seen: Seen) -> Mapping[str, Decimal]:
    """By symbol, shares of the desk at the broker that no resting stop covers, negative for a short position."""
    if seen.broker is None:
        return {}
    lacking, orders = {}, seen.broker.open_orders
    parents = {(order.client_id, order.order_id): order for order in orders if order.order_id}
    spared = seen.ledger.adopted if seen.ledger else {}
    for position in seen.broker.positions:
        held = own_part(position, spared.get(position.symbol, _NOTHING))
        stops = (order for order in orders if order.symbol == held.symbol)
        covered = sum((_cover(order, held.quantity, parents) for order in stops), _NOTHING)
        if covered < abs(held.quantity):
            lacking[held.symbol] = (abs(held.quantity) - covered).copy_sign(held.quantity)
    return lacking


def _unsure(seen: Seen, settings: ExecutionSettings) -> Iterator[tuple[str, str]]:
    """What may be wrong and is given a moment: a later look that still finds it acts."""
    yield from (("W1", symbol) for symbol in naked(seen))
    if is_booked(seen, settings):
        yield from differences(seen, settings.watch.cash_fraction)
    if seen.ledger is None:
        yield "W3", "ledger"
    if seen.broker is None:
        yield "W3", "broker"


def _w1(seen: Seen, memory: Memory, settings: ExecutionSettings, _: Preferences) -> Iterator[Finding]:
    patience = timedelta(seconds=settings.reactions.naked_seconds)
    first = patience
    if gateway_acts(seen, settings):
        first += timedelta(seconds=2 * settings.rhythm.reconcile_seconds)
    for symbol, lacking in sorted(naked(seen).items()):
        lasted = memory.lasted(("W1", symbol), seen.now)
        if lasted >= first:
            level: Level = "flatten" if lasted >= TIMES * patience else "protect"
            said = f"{lacking} {symbol} have had no stop for {lasted.total_seconds():.0f} s"
            yield Finding("W1", level, said, symbol)


def _w2(seen: Seen, memory: Memory, settings: ExecutionSettings, _: Preferences) -> Iterator[Finding]:
    """A fill is booked a moment after it happened, and cash may be told every three minutes only: what lasts counts."""
    patience = timedelta(seconds=2 * settings.rhythm.reconcile_seconds)
    trades = seen.ledger.trades if seen.ledger else ()
    traded = max((trade.at for trade in trades), default=None)
    for key, sentence in sorted(differences(seen, settings.watch.cash_fraction).items()):
        lasted = memory.lasted(key, seen.now)
        if key == CASH and traded is not None:
            lasted = min(lasted, seen.now - traded)
        if lasted >= (CASH_PATIENCE if key == CASH else patience):
            yield Finding("W2", "halt", sentence, key[1].split(" ")[0])


def _w3(seen: Seen, memory: Memory, settings: ExecutionSettings, limits: Preferences) -> Iterator[Finding]:
    watch = settings.watch
    bounds = {"gateway": watch.gateway_seconds, "daemon": watch.daemon_seconds, "feed": watch.feed_seconds}
    watched = memory.watched(seen.now)
    for process in watch.processes:
        if process != "feed":
            yield from _silent(process, seen.signs.get(process), timedelta(seconds=bounds[process]), watched)
        elif (opened := _open_for(seen)) is not None:
            yield from _silent(process, seen.signs.get(process), timedelta(seconds=bounds[process]), watched, opened)
    bound = timedelta(seconds=watch.gateway_seconds)
    if seen.ledger is None:
        lasted = memory.lasted(("W3", "ledger"), seen.now)
        yield Finding("W3", _worse(lasted, bound), f"the ledger has not answered for {_seconds(lasted)}", "ledger")
    if seen.broker is None and not seen.stranger:
        lasted = memory.lasted(("W3", "broker"), seen.now)
        counts = min(lasted, _open_for(seen) or timedelta(0))
        yield Finding("W3", _worse(counts, bound), f"the broker has not answered for {_seconds(lasted)}", "broker")
    skew_max = timedelta(seconds=limits.clock_skew_seconds_max)
    if seen.clock_skew is not None and abs(seen.clock_skew) > skew_max:
        yield Finding("W3", "reduce", f"the clock differs from the broker's by {_seconds(seen.clock_skew)}", "clock")


def _open_for(seen: Seen) -> timedelta | None:
    """How long the exchange has been open; None while it is closed."""
    return None if seen.session is None else seen.now - seen.session.open


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():.1f} s"


def _silent(
    name: str, sign: Sign | None, bound: timedelta, watched: timedelta, due: timedelta = timedelta.max
) -> Iterator[Finding]:
    """One that was never alive reduces, however long: a desk that is being set up is not halted.

    Args:
        watched: A silence halts only as far as it was watched: last night's is not this morning's.
        due: Since when it has had to speak.
    """
    if sign is None:
        if due > bound:
            yield Finding("W3", "reduce", f"{name} has never given a sign of life", name)
    elif (silent := min(abs(sign.age), due)) > bound:
        said = f"{name} gave its last sign of life {_seconds(sign.age)} ago, bound {_seconds(bound)}"
        yield Finding("W3", _worse(min(silent, watched), bound), said, name)


def _worse(lasted: timedelta, bound: timedelta) -> Level:
    return "halt" if lasted > TIMES * bound else "reduce"


def _w4(seen: Seen, _memory: Memory, settings: ExecutionSettings, limits: Preferences) -> Iterator[Finding]:
    """Losses on the broker's own equity, and margin in use. An equity that cannot be traded on is the worst loss."""
    if seen.broker is None:
        return
    equity = seen.broker.values.equity
    if equity is None:
        yield Finding("W4", "reduce", "the broker does not tell the account's equity", "equity")
        return
    if not (equity.is_finite() and equity > 0):
        yield Finding("W4", "halt", f"an equity of {equity} USD cannot be traded on", "equity")
        return
    if seen.ledger is not None:
        yield from _loss("the day", equity, seen.ledger.day_open, limits.daily_loss_halt_fraction)
        yield from _loss("the peak", equity, seen.ledger.peak, limits.drawdown_halt_fraction)
    used, bound = seen.broker.values.maintenance_margin, Decimal(str(settings.watch.margin_fraction))
    if used is not None and not (used.is_finite() and used <= bound * equity):
        yield Finding("W4", "reduce", f"{used} USD of margin in use, bound {bound:%} of {equity} USD", "margin")


def _loss(since: str, equity: Decimal, mark: Decimal | None, bound: float) -> Iterator[Finding]:
    if mark is not None and mark > 0 and 1 - equity / mark >= Decimal(str(bound)):
        yield Finding("W4", "halt", f"{1 - equity / mark:.2%} lost since {since}, halts at {bound:.2%}", since)


def _w5(seen: Seen, _memory: Memory, _settings: ExecutionSettings, _limits: Preferences) -> Iterator[Finding]:
    if seen.session is None and seen.is_halted and _held(seen):
        names = ", ".join(sorted(_held(seen)))
        yield Finding("W5", "page", f"halted and the exchange is closed; still held: {names}")


def _w7(seen: Seen, _memory: Memory, settings: ExecutionSettings, _limits: Preferences) -> Iterator[Finding]:
    late = [
        raised
        for raised in _unanswered(seen).values()
        if seen.now - raised >= timedelta(minutes=settings.watch.page_minutes)
    ]
    if late and _held(seen) and _near_close(seen, settings):
        yield Finding("W7", "flatten", f"nobody answered for {settings.watch.page_minutes} min, and the close is near")


def _w8(seen: Seen, _memory: Memory, settings: ExecutionSettings, _limits: Preferences) -> Iterator[Finding]:
    bound = Decimal(str(settings.watch.fill_bp)) * _BASIS_POINT
    for trade in seen.ledger.trades if seen.ledger else ():
        if trade.ordered is None or not trade.ordered > 0:
            continue
        worse = (trade.price / trade.ordered - 1) * (1 if trade.side == "buy" else -1)
        if worse > bound:
            said = f"{trade.symbol} {trade.exec_id}: {trade.price} instead of {trade.ordered}, {worse:.2%} worse, bound {bound:.2%}"
            yield Finding("W8", "reduce", said, trade.symbol)


def _w9(seen: Seen, _memory: Memory, settings: ExecutionSettings, _limits: Preferences) -> Iterator[Finding]:
    for sentence, raised in sorted(_unanswered(seen).items()):
        if seen.now - raised >= timedelta(minutes=settings.watch.repeat_minutes):
            yield Finding("W9", "page", f"unanswered since {raised:%H:%M:%S} UTC: {sentence}", sentence)


def _w10(seen: Seen, memory: Memory, settings: ExecutionSettings, _limits: Preferences) -> Iterator[Finding]:
    """Among those that live: a sign of last night's program says nothing. Processes are started anew one after another."""
    bound = timedelta(seconds=settings.watch.gateway_seconds)
    for name, sign in sorted(seen.signs.items()):
        for what, theirs, own in (
            ("the program", sign.identity.version, seen.own.version),
            ("the limits", sign.identity.limits_hash, seen.own.limits_hash),
        ):
            if theirs and theirs != own and abs(sign.age) <= bound:
                said = f"{name} runs {what} {theirs[:16]}, the watchdog {own[:16]}"
                yield Finding("W10", _worse(memory.lasted(("W10", name), seen.now), bound), said, name)


def _w11(seen: Seen, _memory: Memory, _settings: ExecutionSettings, _limits: Preferences) -> Iterator[Finding]:
    """An execution halts once: one that an operator has answered for is no news."""
    told = {each.exec_id: each.symbol for each in (seen.ledger.trades if seen.ledger else ()) if each.liquidation}
    told |= {each.exec_id: each.symbol for each in (seen.broker.executions if seen.broker else ()) if each.liquidation}
    answered = " ".join(seen.ledger.answered).split() if seen.ledger else []
    for exec_id, symbol in sorted(told.items()):
        if exec_id not in answered:
            yield Finding("W11", "halt", f"the broker closed {symbol} by itself: execution {exec_id} of it", symbol)


def _w12(seen: Seen, _memory: Memory, settings: ExecutionSettings, _limits: Preferences) -> Iterator[Finding]:
    """The second of two nets: the gateway sells day positions at the same moment; what is left a minute before the close halts."""
    if seen.ledger is None or not _near_close(seen, settings):
        return
    last = seen.session is not None and seen.now >= seen.session.close - _CLOSE_GUARD
    for symbol in sorted(seen.ledger.day_symbols & _held(seen)):
        yield Finding("W12", "halt" if last else "flatten", f"{symbol} must be flat by the close", symbol)


def _c29(seen: Seen, _memory: Memory, _settings: ExecutionSettings, _limits: Preferences) -> Iterator[Finding]:
    if seen.stranger:
        yield Finding("C29", "reduce", f"{seen.stranger}; nothing is sold there", "account")


RULES: tuple[Rule, ...] = (_w1, _w2, _w3, _w4, _w5, _w7, _w8, _w9, _w10, _w11, _w12, _c29)


def _held(seen: Seen) -> frozenset[str]:
    """Symbols of which the desk holds shares: as the broker says, or the ledger while the broker does not answer."""
    spared = seen.ledger.adopted if seen.ledger else {}
    if seen.broker is not None:
        own = (own_part(each, spared.get(each.symbol, _NOTHING)) for each in seen.broker.positions)
        return frozenset(each.symbol for each in own if each.quantity)
    booked = seen.ledger.positions if seen.ledger else {}
    return frozenset(symbol for symbol, shares in booked.items() if shares != spared.get(symbol, _NOTHING))


def _unanswered(seen: Seen) -> Mapping[str, datetime]:
    return seen.ledger.unanswered if seen.ledger else {}


def _near_close(seen: Seen, settings: ExecutionSettings) -> bool:
    minutes = timedelta(minutes=settings.reactions.flatten_minutes_before_close)
    return seen.session is not None and seen.session.close - minutes <= seen.now


def _cover(order: OrderReport, quantity: Decimal, parents: Mapping[tuple[int, int], OrderReport]) -> Decimal:
    """How many shares a resting stop covers. A child covers what its parent has filled, for until then it waits."""
    closing = "sell" if quantity > 0 else "buy"
    if not (order.kind == "stop" and order.side == closing and order.status == "working"):
        return _NOTHING
    parent = parents.get((order.client_id, order.parent_id))
    return order.remaining if parent is None else min(order.remaining, parent.filled)


def _positions_differ(ledger: LedgerSeen, broker: Snapshot) -> Iterator[tuple[tuple[str, str], str]]:
    told = {held.symbol: held.quantity for held in broker.positions}
    for symbol in sorted(ledger.positions.keys() | told.keys()):
        booked, held = ledger.positions.get(symbol, _NOTHING), told.get(symbol, _NOTHING)
        if booked != held:
            # One that moves is a new one: fills that overlap are each booked in their time.
            yield ("W2", f"{symbol} {booked} {held}"), f"the ledger holds {booked} {symbol}, the broker {held}"


def _cash_differs(ledger: LedgerSeen, broker: Snapshot, fraction: Decimal) -> Iterator[tuple[tuple[str, str], str]]:
    """Fees that the broker has not told yet are within the fraction; an unknown balance says nothing."""
    booked, told = ledger.cash, broker.values.cash
    if booked is None or told is None:
        return
    equity = broker.values.equity
    base = max(abs(told), equity) if told.is_finite() and equity is not None and equity.is_finite() else abs(told)
    if not (told.is_finite() and abs(booked - told) <= fraction * base):
        yield CASH, f"the ledger holds {booked} USD, the broker {told}, bound {fraction:.2%}"


def _orders_differ(ledger: LedgerSeen, broker: Snapshot) -> Iterator[tuple[tuple[str, str], str]]:
    """Orders of the desk that live at the broker and not in the ledger. What is missing at the broker, the gateway asks about."""
    known = {order.ref for order in ledger.orders}
    for report in broker.open_orders:
        if report.is_ours and report.status not in ENDED and report.ref not in known:
            yield ("W2", report.ref), f"order {report.ref} in {report.symbol} lives at the broker and not in the ledger"
