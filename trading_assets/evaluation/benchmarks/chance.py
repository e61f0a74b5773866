"""What the coin's lives come to: a band over the sessions, one row for each life, and where the book stands among them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import polars as pl

from trading_assets.core.calendar import XNYS, Session, days_of
from trading_assets.core.money import usd
from trading_assets.core.ports import Span
from trading_assets.evaluation.benchmark_model import COIN_FLIP
from trading_assets.evaluation.benchmarks.coin import DELAY_MAX, LIVES, SEED, Lives, flip
from trading_assets.evaluation.benchmarks.prices import MONEY_PER_USD, Floats, Ints, prices_of
from trading_assets.evaluation.benchmarks.rows import Row, Told, missing
from trading_assets.evaluation.benchmarks.stakes import stakes_of
from trading_assets.evaluation.statistics import sharpe_of
from trading_assets.execution.model import Costs

BAND = (5.0, 95.0)
_PLACES = 6


@dataclass(frozen=True, slots=True)
class Flipped:
    """The coin's benchmark, and its lives as rows of COIN_LIVES of the last session."""

    told: Told
    lives: tuple[Row, ...] = ()


def coin_flip(
    fills: pl.DataFrame,
    trades: pl.DataFrame,
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    span: Span,
    starting_cash: Decimal,
    costs: Costs,
    symbols: Sequence[str],
    lives: int = LIVES,
    seed: int = SEED,
) -> Flipped:
    """The coin beside a book that lived through the span, or why there is no number.

    Args:
        fills: Rows of FILLS of the book.
        trades: Rows of TRADES of the book.
        bars: Rows of DAILY_BARS.
        actions: Rows of CORPORATE_ACTIONS.
        span: The book's life.
        starting_cash: USD.
        costs: The paper broker's.
        symbols: The universe; the coin takes those that trade on its day.
        lives: How many.
        seed: Another one makes other lives.
    """
    sessions = XNYS.sessions(span.first, span.last)
    days, universe = days_of(sessions), sorted(set(symbols))
    stakes = [stake for stake in stakes_of(fills, trades) if stake.opened in set(days)]
    if not stakes:
        return Flipped(missing(COIN_FLIP, "the book has opened nothing, so there is nothing to copy"))
    if not universe:
        return Flipped(missing(COIN_FLIP, "the universe has no symbol"))
    prices = prices_of(bars, actions, days, universe)
    flipped = flip(stakes, prices, days, starting_cash=starting_cash, costs=costs, lives=lives, seed=seed)
    sentence = (
        f"{lives} lives with the book's {len(stakes)} openings, each up to {DELAY_MAX} sessions later; seed {seed}"
    )
    rows = tuple(_band(flipped, sessions, starting_cash))
    return Flipped(Told(COIN_FLIP, "made", sentence, rows), tuple(_lives(flipped, sessions[-1], starting_cash)))


def returns_of(equity: Ints | Floats, starting_cash: Decimal) -> Floats:
    """Session returns of each row; 0 where nothing was left to earn on."""
    money = np.asarray(equity, dtype=np.float64)
    first = np.full((len(money), 1), float(starting_cash) * MONEY_PER_USD)
    before = np.concatenate([first, money[:, :-1]], axis=1)
    found: Floats = np.where(before > 0, money / np.where(before > 0, before, 1.0) - 1.0, 0.0)
    return found


def _band(lives: Lives, sessions: Sequence[Session], starting_cash: Decimal) -> Iterator[Row]:
    low, middle, high = np.percentile(lives.equity, [BAND[0], 50.0, BAND[1]], axis=0)
    traded, fees = lives.traded.mean(axis=0), lives.fees.mean(axis=0)
    returns = returns_of(lives.equity, starting_cash).mean(axis=0)
    for n, session in enumerate(sessions):
        yield {
            "session": session.day,
            "name": COIN_FLIP,
            "equity": _usd(middle[n]),
            "low": _usd(low[n]),
            "high": _usd(high[n]),
            "traded_value": _usd(traded[n]),
            "fees": _usd(fees[n]),
            "mean_return": float(returns[n]),
            "knowable_at": session.close,
        }


def _lives(lives: Lives, session: Session, starting_cash: Decimal) -> Iterator[Row]:
    returns = returns_of(lives.equity, starting_cash)
    sharpe = sharpe_of(returns) if returns.shape[1] > 1 else np.full(len(returns), np.nan)
    drawdown = _drawdowns(lives.equity, starting_cash)
    for life, equity in enumerate(lives.equity[:, -1]):
        ended = _usd(float(equity))
        yield {
            "session": session.day,
            "life": life,
            "equity": ended,
            "return_fraction": round(float(ended / starting_cash) - 1, _PLACES),
            "sharpe_ratio": round(float(sharpe[life]), _PLACES) if np.isfinite(sharpe[life]) else None,
            "max_drawdown_fraction": round(float(drawdown[life]), _PLACES),
            "traded_value": _usd(float(lives.traded[life].sum())),
            "fees": _usd(float(lives.fees[life].sum())),
            "entries": int(lives.entries[life].sum()),
            "knowable_at": session.close,
        }


def _drawdowns(equity: Ints, starting_cash: Decimal) -> Floats:
    first = int(starting_cash * MONEY_PER_USD)
    peaks = np.maximum.accumulate(np.maximum(equity, first), axis=1)
    found: Floats = (1.0 - equity / peaks).max(axis=1)
    return found


def _usd(money: float) -> Decimal:
    return usd(Decimal(round(money)) / MONEY_PER_USD)
