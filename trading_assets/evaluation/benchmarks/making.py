"""Makes every benchmark of a book as of its last session, from what the lake holds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Lake, Span
from trading_assets.evaluation.benchmark import held_days
from trading_assets.evaluation.benchmark_model import BUY_AND_HOLD
from trading_assets.evaluation.benchmarks.chance import coin_flip
from trading_assets.evaluation.benchmarks.momentum import FAR, exposure_cap, momentum
from trading_assets.evaluation.benchmarks.rows import Row, Told, rows_of
from trading_assets.evaluation.benchmarks.shadow import models_of, of_the_book, walked
from trading_assets.execution.lanes import Lane
from trading_assets.execution.model import ACCOUNT, FILLS, TRADES
from trading_assets.execution.rules import Rules
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS

HISTORY_SESSIONS = FAR + 18  # some more than the score needs, for symbols that miss a session


@dataclass(frozen=True, slots=True)
class Made:
    """Rows of BENCHMARKS, COIN_LIVES and BENCHMARK_NOTES, and what each benchmark says of itself."""

    told: tuple[Told, ...]
    rows: tuple[Row, ...]
    lives: tuple[Row, ...]
    notes: tuple[Row, ...]


def make_benchmarks(lake: Lake, rules: Rules, life: Span, *, shadow: Callable[[], Lane]) -> Made:
    """All benchmarks of the book over its life.

    Args:
        lake: Where the book's tables and the facts are.
        rules: The book's.
        life: From its first settled session on.
        shadow: The lane of the rules desk; asked for only where models decided.
    """
    session = XNYS.session(life.last)
    as_of, lane, cash, costs = session.close, rules.book, rules.first_book.cash, rules.costs
    symbols = list(rules.settings.market.symbols)
    account, fills, trades = (
        lake.read(t, as_of=as_of, lane=lane, first=life.first, last=life.last) for t in (ACCOUNT, FILLS, TRADES)
    )
    history = Span(_far_before(life), life.last)
    bars, actions = (
        lake.read(t, as_of=as_of, first=history.first, last=life.last, symbols=symbols)
        for t in (DAILY_BARS, CORPORATE_ACTIONS)
    )
    held = held_days(bars, actions, span=life, starting_cash=cash, costs=costs, symbols=symbols)
    coin = coin_flip(fills, trades, bars, actions, span=life, starting_cash=cash, costs=costs, symbols=symbols)
    told = (
        Told(BUY_AND_HOLD, "made", "equal cash in each symbol, bought once", tuple(rows_of(BUY_AND_HOLD, held, cash))),
        momentum(
            bars,
            actions,
            span=life,
            starting_cash=cash,
            costs=costs,
            exposure=exposure_cap(rules.preferences),
        ),
        coin.told,
        _rules_desk(lake, rules, life, account, shadow),
    )
    rows = tuple(row for one in told for row in one.rows)
    return Made(told, rows, coin.lives, tuple(one.note(session) for one in told))


def _rules_desk(lake: Lake, rules: Rules, life: Span, account: pl.DataFrame, shadow: Callable[[], Lane]) -> Told:
    models = models_of(lake, rules.book, life)
    return walked(shadow(), life, models) if models else of_the_book(account, rules.first_book.cash)


def _far_before(life: Span) -> date:
    """Where the history begins that the score needs; the calendar's first session for a book that began near it."""
    before = len(XNYS.sessions(XNYS.first, life.first)) - 1
    return XNYS.previous(life.first, min(HISTORY_SESSIONS, before)).day if before else life.first
