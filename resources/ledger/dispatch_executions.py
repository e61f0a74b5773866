"""What the executions of a book come to: shares by symbol, shares by order, cash.

Executions are only ever added, so a reader that stays keeps what it has read and asks for the rest alone. An execution counts
unless another one replaces or busts it; of a family of corrections the last one counts; one that busts takes another back in full
and brings nothing itself.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.dispatch_rows import execution_of
from trading_assets.broker.model import Execution

_ZERO = Decimal(0)
_E, _F = t.EXECUTIONS.c, t.EXECUTION_FEES.c


@dataclass(frozen=True, slots=True)
class Counted:
    """An execution that counts, as it is booked; `fee` is None while the broker has not told it."""

    execution: Execution
    session: date
    leg_key: str
    intent_id: str
    fee: Decimal | None


class Executions:
    """All executions of a book, or those of a symbol or since a session, that their reader has seen."""

    def __init__(self, book: str, *, symbol: str = "", since: date = date.min) -> None:
        mine = (_E.book == book) & (_E.symbol == symbol) if symbol else _E.book == book
        self._which = mine & (_E.session >= since)
        self._book = book
        self._read = (0, 0)
        self._rows: dict[str, tuple[int, date, str, str]] = {}
        self._all: dict[str, Execution] = {}
        self._fees: dict[str, Decimal] = {}
        self._counting: set[str] = set()
        self._by_session: dict[date, list[str]] = {}
        self._gone: set[str] = set()
        self._last_correction: dict[str, str] = {}
        self._by_leg: dict[str, Decimal] = {}
        self._by_symbol: dict[str, Decimal] = {}
        self._flow = _ZERO
        self._flows: list[tuple[int, Decimal]] = [(0, _ZERO)]
        self._cash: tuple[int, Decimal] | None = None
        self._handed_out: tuple[Mapping[str, Execution], frozenset[str]] = ({}, frozenset())

    def read(self, connection: sa.Connection) -> None:
        """Reads what has been added since the last time."""
        seq, fee_seq = self._read
        new = sa.select(t.EXECUTIONS).where(_E.seq > seq, self._which)
        for row in connection.execute(new.order_by(_E.seq)):
            self._add(row)
            seq = row.seq
        fees = sa.select(t.EXECUTION_FEES).where(_F.seq > fee_seq, _F.book == self._book).order_by(_F.seq)
        for row in connection.execute(fees):
            self._fees[row.exec_id] = row.amount
            fee_seq = row.seq
        if (seq, fee_seq) != self._read:
            self._read, self._cash = (seq, fee_seq), None
            self._handed_out = (dict(self._all), frozenset(self._fees))

    @property
    def newest(self) -> int:
        """Number of the newest execution; 0 for none."""
        return self._read[0]

    @property
    def all(self) -> Mapping[str, Execution]:
        """By exec_id, counted or not."""
        return self._handed_out[0]

    @property
    def with_fees(self) -> frozenset[str]:
        """exec_ids whose fee is booked."""
        return self._handed_out[1]

    @property
    def by_symbol(self) -> dict[str, Decimal]:
        """Shares that count, by symbol, also where they come to nothing."""
        return dict(self._by_symbol)

    def filled(self, leg_key: str) -> Decimal:
        """Shares that an order has filled."""
        return self._by_leg.get(leg_key, _ZERO)

    def counted(self, first: date, last: date) -> Iterator[Counted]:
        """Those of a range of sessions that count, by session in the order in which they were booked."""
        for session in sorted(day for day in self._by_session if first <= day <= last):
            for exec_id in self._by_session[session]:
                if exec_id in self._counting:
                    _, _, leg_key, intent_id = self._rows[exec_id]
                    yield Counted(self._all[exec_id], session, leg_key, intent_id, self._fees.get(exec_id))

    def cash_since(self, through: int) -> Decimal:
        """What executions after a number added to cash, fees included, USD; a correction of an earlier one adds the difference."""
        if self._cash is None or self._cash[0] != through:
            before = self._flows[bisect_right(self._flows, through, key=lambda flow: flow[0]) - 1][1]
            late = (fee for exec_id, fee in self._fees.items() if self._is_later(exec_id, through))
            self._cash = (through, self._flow - before - sum(late, _ZERO))
        return self._cash[1]

    def _is_later(self, exec_id: str, through: int) -> bool:
        return exec_id in self._counting and self._rows[exec_id][0] > through

    def _add(self, row: Any) -> None:
        done = execution_of(row)
        self._all[done.exec_id] = done
        self._rows[done.exec_id] = (row.seq, row.session, row.leg_key, row.intent_id)
        self._by_session.setdefault(row.session, []).append(done.exec_id)
        for taken in (row.replaces, row.busts):
            self._take_out(taken)
        if row.replaces:
            self._correct(done)
        if not row.busts and done.exec_id not in self._gone:
            self._count(done, 1)
        self._flows.append((row.seq, self._flow))

    def _correct(self, done: Execution) -> None:
        """Of two corrections in one family the later one stays, whichever is told first."""
        other = self._last_correction.get(done.family, done.exec_id)
        self._last_correction[done.family] = max(other, done.exec_id)
        if other != done.exec_id:
            self._take_out(min(other, done.exec_id))

    def _take_out(self, exec_id: str) -> None:
        if not exec_id:
            return
        self._gone.add(exec_id)
        if exec_id in self._counting:
            self._count(self._all[exec_id], -1)

    def _count(self, done: Execution, sign: int) -> None:
        if sign > 0:
            self._counting.add(done.exec_id)
        else:
            self._counting.remove(done.exec_id)
        leg_key = self._rows[done.exec_id][2]
        if leg_key:
            self._by_leg[leg_key] = self._by_leg.get(leg_key, _ZERO) + sign * done.quantity
        self._by_symbol[done.symbol] = self._by_symbol.get(done.symbol, _ZERO) + sign * done.signed
        self._flow -= sign * done.signed * done.price
