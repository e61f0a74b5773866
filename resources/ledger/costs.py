"""Money for models: reserved before a call, settled after it, counted as spent when nobody settles.

Every pocket of a call gives the whole reserve or none of them gives anything. What a pocket has spent is at any moment the sum of
the calls booked on it (`disagreements` proves it): a reservation and a settlement are one writing transaction each.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from resources.ledger import schema as t
from resources.ledger.answers import stand
from resources.ledger.engine import reading, transaction
from resources.ledger.records import Counted, add_counts
from resources.ledger.text import canonical, instant_text, words
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.budgets import pocket_names
from trading_assets.reasoning.model import Budget, Pocket, Usage
from trading_assets.reasoning.ports import AnswerRecord, FinishedCall, OverBudget, PlannedCall

SWEPT = "nobody said how the call ended before its hold was over; booked at its whole reserve"
LATE = "/late"
AMOUNT_USD_MAX = Decimal(1_000_000)
# Enough for a raw answer that could not be used.
ERROR_MAX = 8_000
# Both databases bound the parameters of a statement.
_NAMES_AT_ONCE = 10_000
_COUNT_MAX = 2**31 - 1
_NOTHING = Decimal(0)
_CALL_COLUMNS = ("day", "lane", "decision", "backfill", "skill", "skill_hash", "route", "model", "answer_key")


@dataclass(frozen=True, slots=True)
class PocketState:
    """What a pocket has given, USD; `calls` counts reservations ever made."""

    spent_usd: Decimal = _NOTHING
    reserved_usd: Decimal = _NOTHING
    calls: int = 0

    def left_of(self, pocket: Pocket) -> Decimal:
        """What the pocket can still give, USD; below zero when calls cost more than was reserved for them."""
        return pocket.cap_usd - self.spent_usd - self.reserved_usd

    def plus(self, more: "PocketState") -> "PocketState":
        """Both together."""
        return PocketState(
            self.spent_usd + more.spent_usd, self.reserved_usd + more.reserved_usd, self.calls + more.calls
        )

    def used_up(self, pocket: Pocket) -> bool:
        """Whether the number of calls is used up."""
        return pocket.calls_max is not None and self.calls >= pocket.calls_max


_UNTOUCHED = PocketState()


class SqlCostBook:
    """The CostBook port on a ledger."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def left(self, budget: Budget) -> Decimal:
        """See the port."""
        with reading(self._engine) as connection:
            held = pockets(connection, _names_of(budget))
        if any(held[pocket.name].used_up(pocket) for pocket in budget.pockets):
            return _NOTHING
        return max(_NOTHING, min(held[pocket.name].left_of(pocket) for pocket in budget.pockets))

    def pocket(self, name: str) -> PocketState:
        """What the pocket has given so far; nothing when it was never asked."""
        with reading(self._engine) as connection:
            return pockets(connection, [name])[name]

    def spent(self, pocket: str) -> Decimal:
        """What the calls paid from the pocket cost, USD, without what is only reserved."""
        return self.pocket(pocket).spent_usd

    def reserve(self, call: PlannedCall, amount_usd: Decimal, *, as_of: datetime, hold: timedelta) -> OverBudget | None:
        """See the port; a reservation that stands already is left as it is when the call and the amount are the same.

        Raises:
            PermanentFailure: the amount is not finite, negative or finer than a billionth; the budget's pockets are not those of
                its names; the reservation's id belongs to another call.
            TransientFailure: the ledger is locked or cannot be written: the call must not be made.
        """
        return self.reserve_all([(call, amount_usd)], as_of=as_of, hold=hold)

    def reserve_all(
        self, wanted: Sequence[tuple[PlannedCall, Decimal]], *, as_of: datetime, hold: timedelta
    ) -> OverBudget | None:
        """Reserves for every call or for none, in one transaction; for batches."""
        if hold <= timedelta(0):
            raise PermanentFailure("a reservation must be held for some time", value=hold)
        rows = [_reservation(call, amount, as_of, hold) for call, amount in wanted]
        with transaction(self._engine) as connection:
            standing = _standing(connection, rows)
            new = [(each, row) for each, row in zip(wanted, rows, strict=True) if row["id"] not in standing]
            budgets = [(call.budget, amount) for (call, amount), _ in new]
            refusal = _first_too_small(connection, budgets)
            if refusal is None and new:
                _add(connection, [(call.budget, _NOTHING, amount, 1) for (call, amount), _ in new])
                connection.execute(t.RESERVATIONS.insert(), [row for _, row in new])
        return refusal

    def settle(self, reservation: str, finished: FinishedCall, *, as_of: datetime) -> None:
        """See the port.

        Where the reservation was swept in between, the lost call keeps its whole reserve, and a second row (`<reservation>/late`)
        tells how it ended and costs only what exceeds that reserve.

        Raises:
            PermanentFailure: nothing was ever reserved under this id, or the cost cannot be booked.
        """
        with transaction(self._engine) as connection:
            settle_call(connection, reservation, finished, as_of=as_of)

    def finish(
        self,
        reservation: str,
        finished: FinishedCall,
        *,
        as_of: datetime,
        answer: AnswerRecord | None = None,
        counted: Counted | None = None,
    ) -> AnswerRecord | None:
        """Settles, keeps the answer and counts for the agent's health in one transaction.

        Returns the record that stands under the answer's key: the first that was kept, which may be another process's. Whoever
        acts on it acts on what a replay will say. Repeating changes nothing.
        """
        with transaction(self._engine) as connection:
            if settle_call(connection, reservation, finished, as_of=as_of) and counted is not None:
                add_counts(connection, [counted], as_of=as_of)
            return None if answer is None else stand(connection, answer, as_of=as_of)

    def sweep(self, *, as_of: datetime) -> int:
        """See the port."""
        with transaction(self._engine) as connection:
            overdue = sa.select(t.RESERVATIONS).where(t.RESERVATIONS.c.until <= instant_text(as_of))
            rows = connection.execute(overdue.order_by(t.RESERVATIONS.c.id)).all()
            for row in rows:
                _close(connection, row, FinishedCall("lost", Usage(), row.amount, _NOTHING, 0, SWEPT), as_of=as_of)
        return len(rows)


def settle_call(connection: sa.Connection, reservation: str, finished: FinishedCall, *, as_of: datetime) -> bool:
    """`SqlCostBook.settle` on an open writing transaction; whether anything was booked."""
    _check(finished)
    row = connection.execute(sa.select(t.RESERVATIONS).where(t.RESERVATIONS.c.id == reservation)).first()
    if row is not None:
        _close(connection, row, finished, as_of=as_of)
        return True
    booked = connection.execute(_BOOKED, {"reservation": reservation}).first()
    if booked is None:
        raise PermanentFailure(
            "a call that nothing was reserved for cannot be settled", value=reservation, hint="reserve, call, settle"
        )
    return booked.error == SWEPT and _settle_late(connection, booked, finished, as_of=as_of)


def pockets(connection: sa.Connection, names: Sequence[str]) -> dict[str, PocketState]:
    """What the named pockets have given so far; nothing where a pocket was never asked."""
    found = {row.name: _state(row) for row in _rows_of(connection, _POCKETS, names)}
    return {name: found.get(name, _UNTOUCHED) for name in names}


def disagreements(connection: sa.Connection) -> Iterator[str]:
    """Pockets whose figures are not those of the booked calls and open reservations; none in a sound ledger."""
    true: dict[str, PocketState] = {}
    for name, more in _movements(connection):
        if more is None:
            yield name
        else:
            true[name] = true.get(name, _UNTOUCHED).plus(more)
    told = {row.name: _state(row) for row in connection.execute(sa.select(t.POCKETS))}
    for name in sorted(told.keys() | true.keys()):
        said, summed = told.get(name, _UNTOUCHED), true.get(name, _UNTOUCHED)
        if said != summed:
            yield f"pocket {name} says {_figures(said)}, its calls say {_figures(summed)}"


# A call as rows


def _reservation(call: PlannedCall, amount_usd: Decimal, as_of: datetime, hold: timedelta) -> dict[str, Any]:
    _check_amount("what is reserved for a call", amount_usd)
    if not call.reservation or call.reservation.endswith(LATE):
        raise PermanentFailure("a reservation needs an id of its own", value=repr(call.reservation))
    budget = call.budget
    told = {
        "lane": budget.lane,
        "decision": budget.decision,
        "day": budget.day.isoformat(),
        "backfill": budget.backfill,
        "skill": call.skill,
        "skill_hash": call.skill_hash,
        "route": call.route,
        "model": call.model,
        "answer_key": call.answer_key,
    }
    return {
        "id": call.reservation,
        "amount": amount_usd,
        "pockets": canonical(_names_of(budget)),
        "call": canonical(told),
        "at": instant_text(as_of),
        "until": instant_text(as_of + hold),
    }


def _names_of(budget: Budget) -> tuple[str, ...]:
    """The pockets' names, which must be those that follow from the budget: none left out, none invented."""
    names = tuple(pocket.name for pocket in budget.pockets)
    due = pocket_names(lane=budget.lane, decision=budget.decision, day=budget.day, backfill=budget.backfill)
    if sorted(names) != sorted(due):
        raise PermanentFailure(
            "a budget must be paid from exactly the pockets that its names say",
            value=", ".join(names) or "no pocket",
            bound=", ".join(due),
            hint="make it with desk_budget or backfill_budget",
        )
    for pocket in budget.pockets:
        if not (pocket.cap_usd.is_finite() and pocket.cap_usd >= 0):
            raise PermanentFailure(f"the cap of pocket {pocket.name} is no amount", value=pocket.cap_usd)
    return names


def _standing(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """The ids that are reserved already for the same call and amount; an id that means anything else is refused."""
    by_id = {row["id"]: row for row in rows}
    if len(by_id) < len(rows):
        raise PermanentFailure("two calls cannot share a reservation", value=sorted(row["id"] for row in rows))
    settled = [row.reservation for row in _rows_of(connection, _FINISHED, list(by_id))]
    if settled:
        raise PermanentFailure("a reservation that was settled cannot be made again", value=", ".join(settled[:5]))
    standing = set()
    for found in _rows_of(connection, _OPEN, list(by_id)):
        wanted = by_id[found.id]
        if (found.amount, found.call, found.pockets) != (wanted["amount"], wanted["call"], wanted["pockets"]):
            raise PermanentFailure("a reservation's id belongs to another call", value=found.id)
        standing.add(found.id)
    return standing


_FINISHED = sa.select(t.MODEL_CALLS.c.reservation).where(
    t.MODEL_CALLS.c.reservation.in_(sa.bindparam("names", expanding=True))
)
_OPEN = sa.select(t.RESERVATIONS).where(t.RESERVATIONS.c.id.in_(sa.bindparam("names", expanding=True)))
_BOOKED = sa.select(t.MODEL_CALLS).where(t.MODEL_CALLS.c.reservation == sa.bindparam("reservation"))


def _rows_of(connection: sa.Connection, query: sa.Select[Any], names: Sequence[str]) -> Iterator[Any]:
    for first in range(0, len(names), _NAMES_AT_ONCE):
        yield from connection.execute(query, {"names": list(names[first : first + _NAMES_AT_ONCE])})


def _close(connection: sa.Connection, row: Any, finished: FinishedCall, *, as_of: datetime) -> None:
    """Books the call, frees its reserve and forgets the reservation."""
    call = json.loads(row.call)
    call["day"] = date.fromisoformat(call["day"])
    _book(connection, row.id, call, finished, as_of=as_of)
    _add_to(connection, [(name, finished.cost_usd, -row.amount, 0) for name in json.loads(row.pockets)])
    connection.execute(t.RESERVATIONS.delete().where(t.RESERVATIONS.c.id == row.id))


def _settle_late(connection: sa.Connection, lost: Any, finished: FinishedCall, *, as_of: datetime) -> bool:
    late = lost.reservation + LATE
    if connection.execute(_BOOKED, {"reservation": late}).first() is not None:
        return False
    call = {name: getattr(lost, name) for name in _CALL_COLUMNS}
    excess = max(_NOTHING, finished.cost_usd - lost.cost)
    told = FinishedCall(
        finished.outcome,
        finished.usage,
        excess,
        finished.shadow_usd,
        finished.latency_ms,
        f"cost {finished.cost_usd} USD, {lost.cost} USD of it booked as lost before; {finished.error}",
    )
    _book(connection, late, call, told, as_of=as_of)
    names = pocket_names(lane=lost.lane, decision=lost.decision, day=lost.day, backfill=lost.backfill)
    _add_to(connection, [(name, excess, _NOTHING, 0) for name in names])
    return True


def _book(
    connection: sa.Connection, reservation: str, call: Mapping[str, Any], finished: FinishedCall, *, as_of: datetime
) -> None:
    row = {
        **call,
        "reservation": reservation,
        "at": instant_text(as_of),
        "outcome": finished.outcome,
        "input_tokens": finished.usage.input_tokens,
        "cached_tokens": finished.usage.cached_tokens,
        "output_tokens": finished.usage.output_tokens,
        "cost": finished.cost_usd,
        "shadow_cost": finished.shadow_usd,
        "latency_ms": finished.latency_ms,
        "error": words(finished.error, ERROR_MAX),
    }
    connection.execute(t.MODEL_CALLS.insert(), row)


def _check(finished: FinishedCall) -> None:
    _check_amount("what a call cost", finished.cost_usd)
    _check_amount("the list price of a call", finished.shadow_usd)
    usage = finished.usage
    counts = (usage.input_tokens, usage.cached_tokens, usage.output_tokens, finished.latency_ms)
    if not all(0 <= count <= _COUNT_MAX for count in counts):
        raise PermanentFailure("a call's tokens and latency must be whole numbers from 0", value=counts)


def _check_amount(what: str, amount: Decimal) -> None:
    """USD from 0 to the billionth."""
    bound = f"0 to {AMOUNT_USD_MAX:,} USD, {t.CALL_PLACES} places"
    if not (amount.is_finite() and 0 <= amount <= AMOUNT_USD_MAX):
        raise PermanentFailure(f"{what} is no amount that can be booked", value=amount, bound=bound)
    if (Fraction(amount) * 10**t.CALL_PLACES).denominator != 1:
        raise PermanentFailure(f"{what} has too many places to be booked", value=amount, bound=bound)


# Pockets


_POCKETS = sa.select(t.POCKETS).where(t.POCKETS.c.name.in_(sa.bindparam("names", expanding=True)))


def _first_too_small(connection: sa.Connection, wanted: Sequence[tuple[Budget, Decimal]]) -> OverBudget | None:
    """The first pocket that cannot give what the calls want one after the other."""
    held = pockets(connection, sorted({pocket.name for budget, _ in wanted for pocket in budget.pockets}))
    for budget, amount in wanted:
        for pocket in budget.pockets:
            state = held[pocket.name]
            if state.used_up(pocket) or state.left_of(pocket) < amount:
                return _refusal(pocket, state, amount)
            held[pocket.name] = PocketState(state.spent_usd, state.reserved_usd + amount, state.calls + 1)
    return None


def _refusal(pocket: Pocket, state: PocketState, amount: Decimal) -> OverBudget:
    left = max(_NOTHING, state.left_of(pocket))
    if state.used_up(pocket):
        sentence = f"{pocket.name} has used up its {pocket.calls_max} calls"
        return OverBudget(pocket.name, amount, _NOTHING, sentence)
    sentence = (
        f"{pocket.name} has {_usd(left)} USD left of {_usd(pocket.cap_usd)} ({_usd(state.spent_usd)} spent, "
        f"{_usd(state.reserved_usd)} reserved), the call may cost {_usd(amount)}"
    )
    return OverBudget(pocket.name, amount, left, sentence)


def _add(connection: sa.Connection, changes: Sequence[tuple[Budget, Decimal, Decimal, int]]) -> None:
    _add_to(connection, [(pocket.name, *more) for budget, *more in changes for pocket in budget.pockets])


def _add_to(connection: sa.Connection, changes: Sequence[tuple[Any, ...]]) -> None:
    """Adds (name, spent, reserved, calls) to pockets; one that was never asked begins at zero."""
    rows = [dict(zip(("name", "spent", "reserved", "calls"), change, strict=True)) for change in changes]
    connection.execute(_ADDITION[connection.dialect.name], rows)


def _addition(dialect: Any) -> Any:
    """One statement for old and new pockets; `excluded` is the row that was to be inserted."""
    new = dialect.insert(t.POCKETS)
    old = t.POCKETS.c
    more = {name: old[name] + new.excluded[name] for name in ("spent", "reserved", "calls")}
    return new.on_conflict_do_update(index_elements=[old.name], set_=more)


_ADDITION = {"sqlite": _addition(sqlite), "postgresql": _addition(postgresql)}


def _movements(connection: sa.Connection) -> Iterator[tuple[str, PocketState | None]]:
    """What calls and reservations did to each pocket; a row that names no pocket is a complaint with None."""
    calls = t.MODEL_CALLS.c
    whole = sa.func.count().filter(calls.reservation.not_like(f"%{LATE}"))
    by = (calls.lane, calls.decision, calls.day, calls.backfill)
    sums = sa.select(*by, sa.func.sum(calls.cost, type_=t.CallUsd).label("cost"), whole.label("calls")).group_by(*by)
    for row in connection.execute(sums):
        try:
            names = pocket_names(lane=row.lane, decision=row.decision, day=row.day, backfill=row.backfill)
        except PermanentFailure as unnamed:
            yield f"a booked call: {unnamed}", None
            continue
        yield from ((name, PocketState(row.cost, _NOTHING, row.calls)) for name in names)
    for row in connection.execute(sa.select(t.RESERVATIONS)):
        reserved_from = _reserved_from(row)
        if not reserved_from:
            yield f"reservation {row.id} does not tell its call or its pockets", None
        yield from ((name, PocketState(_NOTHING, row.amount, 1)) for name in reserved_from)


def _reserved_from(row: Any) -> tuple[str, ...]:
    """The pockets of a reservation, when they are those of its call; none otherwise."""
    try:
        call, stored = json.loads(row.call), sorted(json.loads(row.pockets))
        names = pocket_names(
            lane=call["lane"],
            decision=call["decision"],
            day=date.fromisoformat(call["day"]),
            backfill=call["backfill"],
        )
    except (ValueError, TypeError, KeyError, PermanentFailure):
        return ()
    return names if stored == sorted(names) else ()


def _state(row: Any) -> PocketState:
    return PocketState(row.spent, row.reserved, row.calls)


def _figures(state: PocketState) -> str:
    return f"{_usd(state.spent_usd)} USD spent, {_usd(state.reserved_usd)} reserved, {state.calls} calls"


def _usd(amount: Decimal) -> str:
    """Without exponent and needless zeros."""
    return f"{amount.normalize():f}"
