"""What the tests of the simulated market share: markets by seed, spans, and a digest that is the same on every machine."""

from collections.abc import Iterable
from datetime import date
from functools import cache
from hashlib import sha256

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simulation.market import SimulatedMarket
from simulation.market.model import Instrument
from simulation.market.timeline import timeline
from trading_assets.core.ports import Span
from trading_assets.market.adjust import split_adjusted

SEED = 7
LIFE = Span(timeline().days[0], timeline().days[-1])
YEAR = Span(date(2016, 1, 4), date(2016, 12, 30))
MONTH = Span(date(2016, 11, 1), date(2016, 11, 30))


@cache
def market(seed: int = SEED) -> SimulatedMarket:
    """One market per seed for the whole test run."""
    return SimulatedMarket(seed)


def names(first: int = 0, end: int = 600) -> list[str]:
    return [f"SIM{number:03}" for number in range(first, end)]


def cast(seed: int = SEED) -> dict[str, Instrument]:
    return {one.symbol: one for one in market(seed).cast()}


@cache
def whole_life(symbol: str, seed: int = SEED) -> pl.DataFrame:
    """All daily bars of a symbol."""
    return market(seed).daily(symbol, LIFE)


@cache
def all_actions(symbol: str, seed: int = SEED) -> pl.DataFrame:
    return market(seed).corporate_actions(symbol, LIFE)


def log_closes(symbol: str, span: Span, seed: int = SEED) -> NDArray[np.float64]:
    """Logs of closes in the share count of the calendar's last session."""
    bars = split_adjusted(whole_life(symbol, seed), all_actions(symbol, seed), as_of_session=LIFE.last)
    logs: NDArray[np.float64] = (
        bars.filter(pl.col("session").is_between(span.first, span.last))["close"].log().to_numpy()
    )
    return logs


def moves(symbol: str, seed: int = SEED) -> pl.DataFrame:
    """Columns session and move: close over the close before, less the dividend, in the new share count, as a log."""
    ratios = all_actions(symbol, seed).group_by("session").agg(pl.col("ratio").product(), pl.col("amount").sum())
    joined = whole_life(symbol, seed).join(ratios, on="session", how="left").sort("session")
    before = pl.col("close").shift(1) - pl.col("amount").fill_null(0.0)
    move = (pl.col("close") * pl.col("ratio").fill_null(1.0) / before).log()
    return joined.select("session", "open", "close", "volume", move=move).drop_nulls()


def digest(frames: Iterable[pl.DataFrame]) -> str:
    """The sha256 of all values, column by column."""
    found = sha256()
    for frame in frames:
        for column in frame.iter_columns():
            found.update(column.name.encode())
            if column.dtype == pl.String():
                found.update("\x1f".join(column.to_list()).encode())
            else:
                found.update(np.ascontiguousarray(column.to_physical().to_numpy()).tobytes())
    return found.hexdigest()


def sample(world: SimulatedMarket) -> list[pl.DataFrame]:
    """A piece of everything that a market can be asked for."""
    few, week = ["SIM000", "SIM019", "SIM123", "SIM599"], Span(date(2016, 11, 21), date(2016, 11, 30))
    return [
        world.daily_panel(few, LIFE),
        *(world.corporate_actions(symbol, LIFE) for symbol in few),
        world.intraday("SIM000", "1m", week),
        world.intraday("SIM000", "5m", week),
        world.intraday("SIM000", "1h", week),
        world.quotes("SIM000", week),
        world.news(few, LIFE),
        world.truth(few, LIFE),
        world.liquidity_truth(few, LIFE),
        world.events(few, LIFE),
        world.halts(few, LIFE),
        world.breakdowns(),
    ]
