"""How fast features are made: `python -m bench.features [--json] [--rounds N]`.

The engines run in turn within each round on the same seeded bars, one thread each (polars is told so too). They are timed by the
processor time of the process, so that waiting for other work on the machine does not count; ratios are medians of the rounds'
own ratios, ours over theirs. `kernel` is arrays to arrays, as the peers are; `panel` is a frame of daily bars to a frame that
conforms to INDICATORS. The copy moves the kernel's input and output columns between arrays that exist already. What touches
the lake is timed by the clock. Peak memory is VmHWM of a process of its own, cleared before the panel is made.
"""

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np
import polars as pl

from bench.peers import World, by_polars, by_talib, by_vectorbt
from bench.storage import LATEST, bars
from bench.timing import emit
from resources.lake import ParquetLake
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.breadth import breadth
from trading_assets.features.indicators import indicator_panel
from trading_assets.features.kernel import COLUMNS, LANES_MAX, Floats, indicators_into
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.regimes.rules import regime_labels

SYMBOLS, SESSIONS = 500, 2520
MINUTE_SYMBOLS, MINUTES = 50, 20 * 390
_PRICES = ("open", "high", "low", "close", "volume")
Work = Callable[[], object]
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints; with --json the last line is one JSON object."""
    parser = argparse.ArgumentParser(description="Speed and memory of features beside their peers.")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each measurement")
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.memory:
        emit({"peak_memory_ratio": _peak_memory(options.memory)})
        return
    figures = measured(options.rounds)
    for name, value in figures.items():
        sys.stdout.write(f"{name:<40} {value:>12.3f}\n")
    if options.json:
        emit({"bench": "features", **{name: round(value, 4) for name, value in figures.items()}})


def measured(rounds: int) -> Mapping[str, float]:
    """Figure to value: ratios, and milliseconds or seconds as the name says."""
    figures = dict(_beside_peers(world(MINUTE_SYMBOLS, MINUTES), rounds, "minute_"))
    frame, whole = daily()
    figures |= _beside_peers(whole, rounds, "")
    figures |= _frames(frame, whole, rounds)
    with tempfile.TemporaryDirectory() as folder:
        figures |= _lake(Path(folder), frame)
        frame.write_parquet(Path(folder) / "bars.parquet")
        figures["peak_memory_ratio"] = _in_own_process(Path(folder) / "bars.parquet")
    return figures


def world(symbols: int, times: int) -> World:
    """Seeded random walks; highs and lows enclose the close."""
    dice = np.random.default_rng(11)
    close = 100 * np.exp(np.cumsum(dice.normal(0, 0.015, (times, symbols)), axis=0))
    reach = np.exp(np.abs(dice.normal(0, 0.006, (2, times, symbols))))
    return World(close * reach[0], close / reach[1], close, np.floor(dice.lognormal(13, 0.5, (times, symbols))))


def daily() -> tuple[pl.DataFrame, World]:
    """Rows of DAILY_BARS of the storage bench with the prices of a world, and that world."""
    made = world(SYMBOLS, SESSIONS)
    prices = {name: getattr(made, name).ravel() for name in ("high", "low", "close", "volume")}
    skeleton = bars(XNYS.days[5000 : 5000 + SESSIONS], SYMBOLS)
    opened = pl.Series("open", (prices["high"] + prices["low"]) / 2)
    return DAILY_BARS.conform(skeleton.with_columns(opened, **{n: pl.Series(v) for n, v in prices.items()})), made


def _beside_peers(made: World, rounds: int, prefix: str) -> Mapping[str, float]:
    times, symbols = made.close.shape
    out = np.zeros((len(COLUMNS), made.close.size))
    columns = np.ones((4 + len(COLUMNS), made.close.size))
    copies = np.zeros_like(columns)
    engines: dict[str, Work] = {
        "ours": _kernel(made, out),
        "copy": lambda: np.copyto(copies, columns),
        "talib": lambda: by_talib(made, out),
        "polars": lambda: by_polars(made),
        "vectorbt": lambda: by_vectorbt(made),
    }
    samples = _alternating(engines, rounds)
    ratios = {f"{prefix}ratio_to_{name}": _ratio(samples["ours"], samples[name]) for name in engines if name != "ours"}
    millis = {f"{prefix}kernel_ms" if n == "ours" else f"{prefix}{n}_ms": _median_ms(s) for n, s in samples.items()}
    return {**ratios, **millis, f"{prefix}rows": float(times * symbols)}


def _kernel(made: World, out: Floats) -> Work:
    """Session-major arrays in and out, one job per symbol."""
    times, symbols = made.close.shape
    flat = tuple(np.ascontiguousarray(getattr(made, name)).ravel() for name in ("high", "low", "close", "volume"))
    order = np.ascontiguousarray(np.arange(times * symbols).reshape(times, symbols).T).ravel()
    jobs = np.array([(number * times, times, 0, 0, 0) for number in range(symbols)])
    nothing, ones = np.empty(0, dtype=np.int64), np.empty(0)
    valid = np.full((len(COLUMNS), -(-flat[0].size // 8)), 255, dtype=np.uint8)
    lanes = min(LANES_MAX, -(-symbols // 8) * 8)
    return lambda: indicators_into(flat, order, jobs, nothing, ones, lanes, 0, out, valid)


def _frames(frame: pl.DataFrame, made: World, rounds: int) -> Mapping[str, float]:
    none, splits = CORPORATE_ACTIONS.empty(), _splits(frame)
    span = Span(frame["session"][0], frame["session"][-1])
    last = Span(span.last, span.last)
    panel = indicator_panel(frame, none, span=span)
    columns = np.ones((4 + len(COLUMNS), made.close.size))
    copies = np.zeros_like(columns)
    samples = _alternating(
        {
            "copy": lambda: np.copyto(copies, columns),
            "copy_fresh": columns.copy,
            "panel": lambda: indicator_panel(frame, none, span=span),
            "panel_250_splits": lambda: indicator_panel(frame, splits, span=span),
            "panel_last_session": lambda: indicator_panel(frame, none, span=last),
            "breadth": lambda: breadth(frame, none, panel, span=span),
            "regimes": lambda: regime_labels(frame, none, span=span),
        },
        rounds,
    )
    return {
        "panel_frame_ratio_to_copy": _ratio(samples["panel"], samples["copy"]),
        "panel_frame_ratio_to_copy_into_new_memory": _ratio(samples["panel"], samples["copy_fresh"]),
        **{f"{name}_ms": _median_ms(times) for name, times in samples.items() if name != "copy"},
    }


def _splits(frame: pl.DataFrame) -> pl.DataFrame:
    """One split each of half of the symbols, on seeded days."""
    dice, days = np.random.default_rng(3), frame["session"].unique().sort().to_list()
    moment = frame["knowable_at"][-1]
    rows = [
        {
            "symbol": symbol,
            "session": days[int(dice.integers(1, len(days)))],
            "kind": "split",
            "ratio": 2.0,
            "amount": 0.0,
            "source": "bench",
            "knowable_at": moment,
        }
        for symbol in frame["symbol"].unique().sort()[::2]
    ]
    return CORPORATE_ACTIONS.frame(rows)


def _lake(folder: Path, frame: pl.DataFrame) -> Mapping[str, float]:
    """Ten years from file to file, then what one more session takes; the first reading, which checks digests, is not counted."""
    lake, none = ParquetLake(folder / "lake"), CORPORATE_ACTIONS.empty()
    span = Span(frame["session"][0], frame["session"][-1])
    last = Span(span.last, span.last)
    lake.write(DAILY_BARS, frame, span)
    lake.read(DAILY_BARS, as_of=LATEST)
    read, history = _timed(lambda: lake.read(DAILY_BARS, as_of=LATEST))
    made, panel = _timed(lambda: indicator_panel(history, none, span=span))
    written, _ = _timed(lambda: lake.write(INDICATORS, panel, span))
    read_again, known = _timed(lambda: lake.read(DAILY_BARS, as_of=LATEST, last=span.last))
    increment, row = _timed(lambda: indicator_panel(known, none, span=last))
    changed = row.with_columns(pl.col("sma_20") + 1)
    written_again, _ = _timed(lambda: lake.write(INDICATORS, changed, last))
    total = read + made + written
    return {
        "lake_rows_per_s": frame.height / total,
        "lake_total_s": total,
        "lake_io_share": (read + written) / total,
        "session_increment_s": read_again + increment + written_again,
    }


def _in_own_process(path: Path) -> float:
    command = [sys.executable, "-m", "bench.features", "--memory", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    return float(done.stdout.rsplit(":", 1)[1].strip(" }\n"))


def _peak_memory(path: Path) -> float:
    """The most memory that a panel needed, its input included, over its input and output columns."""
    frame, none = pl.read_parquet(path), CORPORATE_ACTIONS.empty()
    small = frame.filter(pl.col("symbol") == frame["symbol"][0])
    indicator_panel(small, none, span=Span(small["session"][0], small["session"][-1]))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_kib("VmRSS")
    panel = indicator_panel(frame, none, span=Span(frame["session"][0], frame["session"][-1]))
    grown = (_status_kib("VmHWM") - before) * 1024
    needed = frame.select("symbol", "session", *_PRICES, "knowable_at").estimated_size()
    made = panel.select(COLUMNS).estimated_size()
    return (grown + needed) / (needed + made)


def _status_kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _alternating(engines: Mapping[str, Work], rounds: int) -> Mapping[str, Sequence[float]]:
    """Processor seconds of each engine in each round, all in turn; what a first call compiles or loads is not counted."""
    for work in engines.values():
        work()
    samples: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, work in engines.items():
            gc.collect()
            begun = time.process_time()
            work()
            samples[name].append(time.process_time() - begun)
    return samples


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    gc.collect()
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def _median_ms(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1000


if __name__ == "__main__":
    main()
