"""A coin that trades as much as the desk: the same openings and the same money for as long, in symbols and on days of chance.

Each life of the coin repeats every stake of the desk. All stakes of one session begin together, none to DELAY_MAX sessions later;
each goes into a symbol that trades then, drawn among those that the life does not hold where there is one. It is left after as many
sessions as the desk stayed. So a life has the desk's turnover, its holding times and its market, and none of its judgement.

Nothing of a life looks ahead: what it does in a session rests on what the desk had done by then, so its past never changes when
the record grows. Entries are limit orders that fill at the open, as the desk's are, and pay no slippage; every way out is a market
order and pays it. A life that cannot pay an entry leaves it out. Two stakes in one symbol are separate lots. A way out is not cut
to the volume of its bar.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from trading_assets.core.money import usd
from trading_assets.evaluation.benchmarks.costing import Charges
from trading_assets.evaluation.benchmarks.prices import (
    MONEY_PER_CENT,
    MONEY_PER_USD,
    Flags,
    Floats,
    Ints,
    Prices,
)
from trading_assets.evaluation.benchmarks.stakes import Stake
from trading_assets.execution.corporate import split_shares
from trading_assets.execution.model import Costs

LIVES = 200
SEED = 20_260
DELAY_MAX = 10
_NEVER = 1 << 40


@dataclass(frozen=True, slots=True)
class Lives:
    """All lives, one a row; columns are sessions, money in ten-thousandths of a dollar."""

    equity: Ints
    traded: Ints
    fees: Ints
    entries: Ints


@dataclass(frozen=True, slots=True)
class Lots:
    """What every life does with every stake: rows are lives, columns stakes."""

    begins: Ints
    ends: Ints
    symbol: Ints
    value: Ints
    sign: Ints
    at_open: Flags
    taken: Flags


def flip(
    stakes: Sequence[Stake],
    prices: Prices,
    days: Sequence[date],
    *,
    starting_cash: Decimal,
    costs: Costs,
    lives: int = LIVES,
    seed: int = SEED,
) -> Lives:
    """All lives of a coin over the sessions `days`; stakes outside them are left out.

    Args:
        stakes: What the desk opened, in order.
        prices: The market over the same sessions.
        days: The book's sessions.
        starting_cash: USD.
        costs: The paper broker's.
        lives: How many.
        seed: Another one makes other lives.
    """
    lots = draw(stakes, prices, days, lives=lives, seed=seed)
    charges, cash = Charges.of(costs), int(starting_cash * MONEY_PER_USD)
    while True:
        walk = _Walk(lots, prices, charges, len(days))
        walk.run()
        unpaid = walk.unpaid(cash)
        if not unpaid.any():
            return walk.lives(cash)
        lots.taken[unpaid] = False


def draw(stakes: Sequence[Stake], prices: Prices, days: Sequence[date], *, lives: int, seed: int) -> Lots:
    """When and in what each life takes each stake."""
    place = {day: n for n, day in enumerate(days)}
    known = [stake for stake in stakes if stake.opened in place]
    shape = (lives, len(known))
    delays = {day: _delay(seed, day, lives) for day in sorted({stake.opened for stake in known})}
    begins, ends, symbol = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    taken = np.zeros(shape, dtype=np.bool_)
    lots = Lots(
        begins=begins,
        ends=ends,
        symbol=symbol,
        value=np.array([int(s.value_usd * MONEY_PER_USD) for s in known], dtype=np.int64),
        sign=np.array([1 if s.side == "long" else -1 for s in known], dtype=np.int64),
        at_open=np.array([s.leaves_at_open for s in known], dtype=np.bool_),
        taken=taken,
    )
    for n, stake in enumerate(known):
        delay = delays[stake.opened]
        begins[:, n] = place[stake.opened] + delay
        ends[:, n] = place[stake.closed] + delay if stake.closed in place else _NEVER
        keys = _uniform(seed, stake.id, (lives, len(prices.symbols)))
        symbol[:, n], taken[:, n] = _drawn(keys, begins[:, n], prices.trades, _held(lots, n, len(prices.symbols)))
    return lots


def _held(lots: Lots, lot: int, symbols: int) -> Flags:
    """Which symbols each life holds when it takes a lot, of those that it took for earlier stakes."""
    held, begins = np.zeros((len(lots.begins), symbols), dtype=np.bool_), lots.begins[:, lot, None]
    alive = np.flatnonzero(lots.ends[:, :lot].max(axis=0, initial=-1) >= begins.min(initial=_NEVER))
    earlier = lots.taken[:, alive] & (lots.begins[:, alive] <= begins) & (begins <= lots.ends[:, alive])
    life, place = np.nonzero(earlier)
    held[life, lots.symbol[life, alive[place]]] = True
    return held


def _drawn(keys: Floats, begins: Ints, trades: Flags, held: Flags) -> tuple[Ints, Flags]:
    """The symbol with the largest key among those that trade, where possible one that is not held; and whether any trades."""
    reached = begins < len(trades)
    able = trades[np.minimum(begins, len(trades) - 1)] & reached[:, None]
    best: Ints = np.argmax(np.where(able, keys + np.where(held, 0.0, 1.0), -1.0), axis=1)
    any_able: Flags = np.logical_or.reduce(able, axis=1)
    return best, any_able


class _Walk:
    """The lots through the sessions: each step looks at every lot that is held, in its own n-th session."""

    def __init__(self, lots: Lots, prices: Prices, charges: Charges, sessions: int) -> None:
        self._lots, self._prices, self._charges, self._sessions = lots, prices, charges, sessions
        shape = (len(lots.begins), sessions)
        self._flows, self._spent, self._values, self._traded, self._fees, self._count = (
            np.zeros(shape, dtype=np.int64) for _ in range(6)
        )
        self._life, self._stake = np.nonzero(lots.taken & (lots.begins < sessions))
        self._session = lots.begins[self._life, self._stake]
        self._symbol = lots.symbol[self._life, self._stake]
        self._shares = np.zeros(len(self._life), dtype=np.int64)

    def run(self) -> None:
        self._enter()
        self._leave()
        self._value()
        while len(self._life):
            self._session = self._session + 1
            self._keep(self._session < self._sessions)
            self._act()
            self._leave()
            self._value()

    def unpaid(self, cash: int) -> Flags:
        """The stakes that open where a life first has not the money for what it opens."""
        before = cash + np.cumsum(self._flows, axis=1) - self._flows
        short = (before < self._spent) & (self._spent > 0)
        first = np.where(short.any(axis=1), np.argmax(short, axis=1), -1)
        found: Flags = self._lots.taken & (self._lots.begins == first[:, None])
        return found

    def lives(self, cash: int) -> Lives:
        equity = cash + np.cumsum(self._flows, axis=1) + self._values
        return Lives(equity, self._traded, self._fees, self._count)

    def _enter(self) -> None:
        price = self._prices.open_cents[self._session, self._symbol]
        room = self._charges.room(self._prices.volume[self._session, self._symbol])
        wanted = self._lots.value[self._stake] // np.maximum(price * MONEY_PER_CENT, 1)
        quantity = np.minimum(wanted, room)
        sign = self._lots.sign[self._stake]
        self._book(price, quantity, -sign)
        bill = (price * quantity + self._charges.fee_cents(price, quantity)) * MONEY_PER_CENT
        np.add.at(self._spent, (self._life, self._session), np.where(sign > 0, bill, 0))
        np.add.at(self._count, (self._life, self._session), (quantity > 0).astype(np.int64))
        self._shares = quantity * sign
        self._keep(quantity > 0)

    def _act(self) -> None:
        """Dividends on the shares of the day before, then splits, as `execution.corporate` has them."""
        paid = self._prices.dividends[self._session, self._symbol] * self._shares
        np.add.at(self._flows, (self._life, self._session), paid)
        for (session, symbol), (ratio, before) in self._prices.splits.items():
            for lot in np.flatnonzero((self._session == session) & (self._symbol == symbol)):
                whole, part = split_shares(int(self._shares[lot]), ratio)
                self._shares[lot] = whole
                self._flows[self._life[lot], session] += _money(part * before / ratio)
        self._keep(self._shares != 0)

    def _leave(self) -> None:
        """Sells, or buys back, what has reached its last session, in the first session from then on in which its symbol trades."""
        due = self._session >= self._lots.ends[self._life, self._stake]
        due &= self._prices.trades[self._session, self._symbol]
        early = self._lots.at_open[self._stake]
        raw = np.where(early, self._prices.open_cents[self._session, self._symbol], self._closes())
        sells = self._shares > 0
        price = np.where(sells, self._charges.sold_at(raw), self._charges.bought_at(raw))
        self._book(price, np.where(due, np.abs(self._shares), 0), np.where(sells, 1, -1))
        self._keep(~due)

    def _closes(self) -> Ints:
        return self._prices.close_cents[self._session, self._symbol]

    def _book(self, price: Ints, quantity: Ints, sign: Ints) -> None:
        at, gross = (self._life, self._session), price * quantity
        fee = self._charges.fee_cents(price, quantity)
        np.add.at(self._flows, at, (sign * gross - fee) * MONEY_PER_CENT)
        np.add.at(self._traded, at, gross * MONEY_PER_CENT)
        np.add.at(self._fees, at, fee * MONEY_PER_CENT)

    def _value(self) -> None:
        worth = self._prices.last[self._session, self._symbol] * self._shares
        np.add.at(self._values, (self._life, self._session), worth)

    def _keep(self, wanted: Flags) -> None:
        if not wanted.all():
            for name in ("_life", "_stake", "_session", "_symbol", "_shares"):
                setattr(self, name, getattr(self, name)[wanted])


def _money(amount: Decimal) -> int:
    return int(usd(amount) * MONEY_PER_USD)


def _delay(seed: int, day: date, lives: int) -> Ints:
    found: Ints = np.floor(_uniform(seed, day.isoformat(), (lives,)) * (DELAY_MAX + 1)).astype(np.int64)
    return found


def _uniform(seed: int, name: str, shape: tuple[int, ...]) -> Floats:
    """Numbers in [0, 1) that belong to a name, whatever else is drawn."""
    key = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:16])
    return np.random.Generator(np.random.PCG64(key)).random(shape)
