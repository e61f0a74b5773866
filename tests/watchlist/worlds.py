"""Pasts, closed forms and small markets that the tests of the watch-list share."""

import math
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import polars as pl
import yaml

from tests.features.frames import days_from, embedded, splits_of, walk
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT
from trading_assets.features.indicators import indicator_panel
from trading_assets.features.windows import Floats
from trading_assets.regimes.rules import regime_labels
from trading_assets.watchlist.facts import Facts
from trading_assets.watchlist.listing import watchlist
from trading_assets.watchlist.rules import WatchlistRules, load_rules

CONFIG = PROJECT / "config"
PHI = NormalDist().cdf


def past_with(drift: float, deviation: float, count: int = 250) -> Floats:
    """Relatives whose log closes have exactly this mean and sample deviation; each range spans open and close."""
    spread = deviation * math.sqrt((count - 1) / count)
    closes = np.exp(drift + spread * np.tile([1.0, -1.0], count // 2))
    opens = np.ones(count)
    return np.stack([opens, np.maximum(opens, closes), np.minimum(opens, closes), closes], axis=1)


def past_of(seed: int, count: int = 252, drift: float = 0.0005) -> Floats:
    """Random relatives with opens, ranges and closes that differ."""
    dice = np.random.default_rng(seed)
    close, gap = dice.normal(drift, 0.018, count), dice.normal(0, 0.006, count)
    reach = np.abs(dice.normal(0, 0.006, (2, count)))
    high, low = np.maximum(np.maximum(gap, close), 0) + reach[0], np.minimum(np.minimum(gap, close), 0) - reach[1]
    return np.asarray(np.exp(np.stack([gap, high, low, close], axis=1)))


def up_first(down: float, up: float, drift: float, deviation: float, time: float) -> float:
    """P(a Brownian motion reaches `up` before `-down` and by `time`); drift and deviation per unit of time.

    Eigenfunctions of the killed motion with the Girsanov factor of the drift (Cox and Miller 1965, "The Theory of Stochastic
    Processes", section 5.7; Borodin and Salminen 2002, part II, 3.0.6): the gambler's ruin less the series of what comes later.
    """
    width, variance = down + up, deviation**2
    pull = 2 * drift / variance
    ever = down / width if drift == 0 else (1 - math.exp(-pull * down)) / (1 - math.exp(-pull * width))
    later = 0.0
    for n in range(1, 200):
        rate = (n * math.pi) ** 2 * variance / (2 * width**2) + drift**2 / (2 * variance)
        later += n * (-1) ** (n + 1) * math.sin(n * math.pi * down / width) * math.exp(-rate * time) / rate
    return ever - math.exp(drift * up / variance) * variance * math.pi / width**2 * later


def touched_by(level: float, drift: float, deviation: float, time: float) -> float:
    """P(a Brownian motion reaches `level` > 0 by `time`) (Harrison 1985, "Brownian Motion and Stochastic Flow Systems", 1.8)."""
    root = deviation * math.sqrt(time)
    again = math.exp(2 * drift * level / deviation**2) * PHI((-level - drift * time) / root)
    return PHI((drift * time - level) / root) + again


def resampled_exactly(
    past: Floats, stop: float, target: float, horizon: int, block: float
) -> tuple[float, float, float]:
    """P(target), P(stop) and the mean exit of the stationary bootstrap, by walking through every path of a short past."""
    count = len(past)
    found = [0.0, 0.0, 0.0]

    def go(price: float, place: int, chance: float, step: int) -> None:
        opened, high, low, close = price * past[place]
        if low <= stop:
            found[1] += chance
            found[2] += chance * min(stop, opened)
        elif high >= target:
            found[0] += chance
            found[2] += chance * target
        elif step == horizon:
            found[2] += chance * close
        else:
            for following in range(count):
                share = 1 / block / count + (1 - 1 / block) * (following == (place + 1) % count)
                if share:
                    go(close, following, chance * share, step + 1)

    for first in range(count):
        go(1.0, first, 1 / count, 1)
    return found[0], found[1], found[2]


def rules(**changed: object) -> WatchlistRules:
    """The committed rules with few paths, and other values where given."""
    return WatchlistRules.model_validate({**load_rules(CONFIG).model_dump(), "paths": 400, **changed}, strict=False)


def facts_of(bars: pl.DataFrame, actions: pl.DataFrame, span: Span) -> Facts:
    """The facts of a span, made by the features and regimes themselves."""
    panel, labels = indicator_panel(bars, actions, span=span), regime_labels(bars, actions, span=span)
    return Facts(bars, actions, panel, labels)


def listed(facts: Facts, span: Span, how: WatchlistRules, workers: int | None = None) -> pl.DataFrame:
    """The watch-list of the span."""
    return watchlist(facts.bars, facts.actions, facts.panel, facts.labels, how, span=span, workers=workers)


@cache
def real(last: int = 40) -> tuple[Facts, Span]:
    """The embedded symbols' last sessions before 2012, with all their past."""
    bars, actions = embedded()
    known = bars.filter(pl.col("session") < date(2012, 1, 1))
    days = known["session"].unique().sort().to_list()
    span = Span(days[-last], days[-1])
    return facts_of(known, actions, span), span


@cache
def made(symbols: Sequence[str] = ("AAA", "BBB", "CCC", "DDD"), count: int = 330) -> tuple[Facts, Span]:
    """Random walks with a split in AAA ten sessions before the end; the span is the last twenty sessions."""
    bars = pl.concat([walk(symbol, count, seed=number) for number, symbol in enumerate(symbols)])
    days = days_from(count)
    span = Span(days[-20], days[-1])
    return facts_of(bars, splits_of((symbols[0], days[-10], 2.0)), span), span


def config_with(folder: Path, **changed: str) -> Path:
    """A configuration folder with the committed watch-list, where the given keys say something else (YAML)."""
    told = yaml.safe_load((CONFIG / "watchlist.yaml").read_text())
    told.update({key: yaml.safe_load(value) for key, value in changed.items()})
    folder.mkdir(exist_ok=True)
    (folder / "watchlist.yaml").write_text(yaml.safe_dump(told))
    return folder
