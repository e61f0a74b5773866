"""The odds of 100 symbols, and a backfilled watch-list: `python -m bench.watchlist [--json]`.

Simulates 100 symbols x 10,000 paths x 20 sessions by both methods: with the compiled code in memory, in a new process that takes it
from the cache on disk, and in a new process that compiles it. Then makes the list of the five embedded symbols over 500 sessions.
Milliseconds; those of the processor do not count what other programs take on a shared machine.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

from bench.timing import emit, process_seconds

SYMBOLS, PATHS, HORIZON, WINDOW = 100, 10_000, 20, 252
SESSIONS = 500
ROUNDS = 5
_ONCE = "from bench.watchlist import simulate; simulate(); print('done')"


def main() -> None:
    """Prints one JSON line; `--json` is accepted and changes nothing."""
    simulate()
    alone = partial(simulate, 1)
    one, threads = (statistics.median(_ms(work) for _ in range(ROUNDS)) for work in (alone, simulate))
    processor = min(_ms(alone, time.process_time) for _ in range(ROUNDS))
    with tempfile.TemporaryDirectory() as folder:
        once = partial(process_seconds, ["-c", _ONCE], compiled=Path(folder))
        cold = once() * 1000
        cached = statistics.median(once() * 1000 for _ in range(3))
    emit(
        {
            "bench": "watchlist",
            "symbols": SYMBOLS,
            "paths": PATHS,
            "horizon_sessions": HORIZON,
            "warm_ms": round(threads, 1),
            "warm_one_thread_ms": round(one, 1),
            "process_with_cached_code_ms": round(cached),
            "process_compiling_ms": round(cold),
            "warm_processor_ms": round(processor, 1),
            "processor_ns_per_path_session": round(processor * 1e6 / (2 * SYMBOLS * PATHS * HORIZON), 2),
            **_backfill(),
        }
    )


def simulate(workers: int | None = None) -> None:
    """The odds of the made symbols by both methods."""
    import numpy as np

    from trading_assets.watchlist.model import METHODS
    from trading_assets.watchlist.montecarlo import Design, Tasks, simulated

    dice = np.random.default_rng(7)
    close = dice.normal(0.0004, 0.018, (SYMBOLS * WINDOW, 1))
    reach = np.abs(dice.normal(0, 0.006, (SYMBOLS * WINDOW, 2)))
    past = np.hstack([close * 0.3, np.maximum(close, 0) + reach[:, :1], np.minimum(close, 0) - reach[:, 1:], close])
    begins = np.arange(SYMBOLS) * WINDOW
    levels = np.tile([0.955, 1.0675], (SYMBOLS, 1))
    tasks = Tasks(np.exp(past), np.stack([begins, begins + WINDOW], axis=1), levels)
    for method in METHODS:
        keys = np.arange(SYMBOLS, dtype=np.uint64)
        simulated(tasks, keys, Design(PATHS, HORIZON, 10.0), method, workers=workers)


def _backfill() -> dict[str, float]:
    """The list itself: screen, paths of the committed number, filter."""
    import polars as pl

    from resources.market_data.embedded import EmbeddedMarketData
    from trading_assets.core.ports import Span
    from trading_assets.core.settings import config_folder
    from trading_assets.features.indicators import indicator_panel
    from trading_assets.regimes.rules import regime_labels
    from trading_assets.watchlist.listing import watchlist
    from trading_assets.watchlist.rules import load_rules

    provider, rules = EmbeddedMarketData(), load_rules(config_folder())
    lives = {symbol: provider.life(symbol, "1d") for symbol in provider.symbols()}
    bars = pl.concat(provider.bars(symbol, "1d", life) for symbol, life in lives.items())
    actions = pl.concat(provider.corporate_actions(symbol, life) for symbol, life in lives.items())
    days = bars.filter(pl.col("session") <= date(2013, 2, 28))["session"].unique().sort()
    span = Span(days[-SESSIONS], days[-1])
    panel, labels = indicator_panel(bars, actions, span=span), regime_labels(bars, actions, span=span)
    work = partial(watchlist, bars, actions, panel, labels, rules, span=span)
    rows = work()
    return {
        "backfill_sessions": SESSIONS,
        "backfill_paths": rules.paths,
        "backfill_simulated": int(rows["stop"].is_not_null().sum()),
        "backfill_selected": int(rows["selected"].sum()),
        "backfill_ms": round(statistics.median(_ms(work) for _ in range(3))),
        "backfill_processor_ms": round(min(_ms(work, time.process_time) for _ in range(3))),
    }


def _ms(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    begun = clock()
    action()
    return (clock() - begun) * 1000


if __name__ == "__main__":
    if set(sys.argv[1:]) - {"--json"}:
        sys.exit(f"unknown arguments: {sys.argv[1:]}")
    main()
