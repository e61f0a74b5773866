"""What the simulated market costs: `python -m bench.simulation [--json] [--rounds N] [--symbols N] [--sessions N]`.

Each round makes the market anew, so nothing is served from a cache; figures are medians. Symbols with a shorter life have
fewer bars.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from simulation.market import SimulatedMarket
from simulation.market.timeline import timeline
from trading_assets.core.ports import Span

_SEED = 7
_LAST = 5_000
_INTRADAY_SYMBOLS, _INTRADAY_SESSIONS = 50, 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints; with --json the last line is one JSON object."""
    parser = argparse.ArgumentParser(description="Seconds for daily bars, bars per second for minutes and quotes.")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument("--symbols", type=int, default=500, help="symbols of the daily panel")
    parser.add_argument("--sessions", type=int, default=2_520, help="sessions of the daily panel")
    options = parser.parse_args(arguments)
    rounds = [measured(options.symbols, options.sessions) for _ in range(options.rounds)]
    figures = {name: round(statistics.median(one[name] for one in rounds), 4) for name in rounds[0]}
    for name, value in figures.items():
        sys.stdout.write(f"{name:<36} {value:>16,.4f}\n")
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")


def measured(symbols: int, sessions: int) -> Mapping[str, float]:
    """Figure to value, in the unit that its name ends with; `rows` counts bars."""
    market = SimulatedMarket(_SEED)
    names = [one.symbol for one in market.cast()]
    rows, seconds = _timed(lambda: market.daily_panel(names[:symbols], _last(sessions)).height)
    few, short = names[:_INTRADAY_SYMBOLS], _last(_INTRADAY_SESSIONS)
    minutes, minutes_s = _timed(lambda: sum(market.intraday(name, "1m", short).height for name in few))
    quotes, quotes_s = _timed(lambda: sum(market.quotes(name, short).height for name in few))
    _, truth_s = _timed(lambda: market.truth(names[:symbols], _last(sessions)).height)
    return {
        "daily_rows": rows,
        "daily_s": seconds,
        "daily_rows_per_s": rows / seconds,
        "minutes_rows": minutes,
        "minutes_per_s": minutes / minutes_s,
        "quotes_per_s": quotes / quotes_s,
        "truth_s": truth_s,
    }


def _last(sessions: int) -> Span:
    days = timeline().days[:_LAST]
    return Span(days[-sessions], days[-1])


def _timed(action: Callable[[], int]) -> tuple[int, float]:
    begun = time.perf_counter()
    made = action()
    return made, time.perf_counter() - begun


if __name__ == "__main__":
    main()
