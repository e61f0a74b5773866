"""Small random markets and records of a desk in them, as rows of the lake's tables, for the tests of the benchmarks."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import polars as pl

from tests.evaluation.books import actions, bar_row, bars, day, dividend_row, split_row
from trading_assets.evaluation.benchmarks.stakes import Stake


@dataclass(frozen=True)
class Market:
    """Bars and actions of some sessions, the first of which is `day(1)`."""

    symbols: tuple[str, ...]
    days: tuple[date, ...]
    bars: pl.DataFrame
    actions: pl.DataFrame

    def until(self, sessions: int) -> "Market":
        """The same market as it was known after some sessions."""
        last = self.days[sessions - 1]
        cut = pl.col("session") <= last
        return Market(self.symbols, self.days[:sessions], self.bars.filter(cut), self.actions.filter(cut))


def market(seed: int, *, symbols: int = 4, sessions: int = 40, calm: bool = False) -> Market:
    """A random walk of some symbols; unless it is calm with holes, bars without volume, splits and dividends."""
    chance, names = Random(seed), tuple(f"S{n:02d}" for n in range(symbols))
    rows: list[dict[str, Any]] = []
    due: list[dict[str, Any]] = []
    for name in names:
        price = chance.uniform(8, 300)
        for number in range(1, sessions + 1):
            if not calm and number > 1 and chance.random() < 0.03:
                ratio = chance.choice([2.0, 1.5, 0.5, 0.1])
                due.append(split_row(number, ratio, symbol=name))
                price /= ratio
            if not calm and chance.random() < 0.05:
                due.append(dividend_row(number, round(price * 0.01, 4) + 0.0001, symbol=name))
            opens = max(1.0, price * chance.uniform(0.97, 1.03))
            price = max(1.0, opens * chance.uniform(0.96, 1.04))
            if calm or chance.random() > 0.08:
                volume = 0.0 if not calm and chance.random() < 0.05 else chance.choice([3e3, 1e6, 1e7])
                places = 2 if calm else chance.choice([2, 3, 4])
                told = round(opens, places), round(price, places)
                rows.append(bar_row(number, *told, symbol=name, volume=1e7 if calm else volume))
    return Market(names, tuple(day(n) for n in range(1, sessions + 1)), bars(*rows), actions(*due))


def stakes(seed: int, *, sessions: int = 40, shorts: bool = False, money: int = 5_000) -> tuple[Stake, ...]:
    """A desk's openings, one every few sessions, held for one to eight sessions, the last of them perhaps still."""
    chance, found, number = Random(seed), list[Stake](), 1
    while number <= sessions:
        held = chance.randint(1, 8)
        ended = number + held - 1
        found.append(
            Stake(
                id=f"intent-{number}-{len(found)}",
                opened=day(number),
                closed=day(ended) if ended <= sessions else None,
                side="short" if shorts and chance.random() < 0.3 else "long",
                value_usd=Decimal(money) + chance.randint(0, 4_000_000) / Decimal(10_000),
                leaves_at_open=held > 1 and chance.random() < 0.4,
            )
        )
        number += chance.choice([0, 1, 2, 5])
    return tuple(found)
