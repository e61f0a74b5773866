"""The watchdog's speed: `python -m bench.watchdog [--json] [--runs N] [--folder PATH]`.

A gateway process that holds forty shares with their bracket is stopped (SIGSTOP); then the broker says that the account has lost
a tenth. Measured from there: the halt is in the ledger, the market order is at the broker, and nothing is held any more and no
order is open. Once with the ledger free, and once with another process holding it exclusively, where the halt is a file instead.

The gateway gives its signs of life ten times a second here and every two at a desk, where one that seemed alive a moment ago is
waited for: three seconds more. Medians, and the slowest of each, over runs with processes of their own, at a loopback Gateway on
127.0.0.1. Seconds.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from bench.timing import emit, medians
from tests.warden.stage import Stage, stage

DECIDED_S, SENT_S = 2.0, 10.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one JSON line."""
    parser = argparse.ArgumentParser(description="How soon the watchdog halts and sells while the gateway is stopped.")
    parser.add_argument("--json", action="store_true", help="accepted; the output is one JSON line anyway")
    parser.add_argument("--runs", type=int, default=5, help="runs of each kind, each with processes of its own")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args(arguments)
    samples: dict[str, list[float]] = {}
    for kind, play in (("stopped", _stopped), ("locked", _locked)):
        for _ in range(options.runs):
            with tempfile.TemporaryDirectory(dir=options.folder) as folder, stage(Path(folder)) as desk:
                for name, seconds in play(desk).items():
                    samples.setdefault(f"{kind}_{name}_s", []).append(seconds)
    slowest = {f"{name}_max": round(max(values), 3) for name, values in samples.items()}
    emit(
        {
            "bench": "watchdog",
            "runs": options.runs,
            **{f"{name}_p50": value for name, value in medians(samples).items()},
            **slowest,
            "decided_s_allowed": DECIDED_S,
            "sent_s_allowed": SENT_S,
        }
    )


def _stopped(desk: Stage) -> Mapping[str, float]:
    """The gateway stands still, and the account loses."""
    desk.holding()
    desk.freeze()
    return _measured(desk, lambda: bool(desk.halts()))


def _locked(desk: Stage) -> Mapping[str, float]:
    """The same while nobody can write the ledger."""
    desk.holding()
    desk.freeze()
    with closing(sqlite3.connect(desk.where, isolation_level=None)) as other:
        other.execute("begin exclusive")
        found = _measured(desk, lambda: bool(desk.noted()))
        other.execute("rollback")
    return found


def _measured(desk: Stage, halted: Callable[[], bool]) -> Mapping[str, float]:
    desk.lose()
    begun = time.monotonic()
    return {
        "decided": desk.took(halted, "the halt", since=begun),
        "sent": desk.took(lambda: bool(desk.sold_by()), "the sale", since=begun),
        "flat": desk.took(lambda: desk.held() == 0 and not desk.open_orders(), "an empty account", since=begun),
    }


if __name__ == "__main__":
    main()
