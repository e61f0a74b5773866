"""A whole day at sixty times the machine's speed: `python -m bench.rehearsal [--json] [--speed N] [--session D] [--folder PATH]`.

The real processes (gateway, watchdog, Dagster's daemon with its code server and sensors) live the day in a home of its own. The
figures are the command's own, beside them the load of the machine before it began: where the machine is busy with other things, a
fast day fails that goes well on a quiet one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.timing import emit
from trading_assets.core.settings import PROJECT

SESSION = "2023-06-26"
LONGEST_S = 3_600.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Lives the day and prints one JSON line."""
    parser = argparse.ArgumentParser(
        description="A rehearsed day: slots missed and doubled, violations, share of the processor."
    )
    parser.add_argument("--json", action="store_true", help="accepted; the output is one JSON line anyway")
    parser.add_argument("--session", default=SESSION)
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--folder", type=Path, help="where to live it; a temporary folder by default")
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        told = rehearsed(Path(folder), options.session, options.speed)
    emit({"bench": "rehearsal", "cores": os.cpu_count(), "load_before": round(load, 2), **told})


def rehearsed(home: Path, session: str, speed: float) -> dict[str, object]:
    """The last line of the command, in an operator's home of its own, with what was violated."""
    command = [sys.executable, "-m", "desk.main", "rehearse", "--session", session, "--speed", str(speed), "--json"]
    kept = {name: value for name, value in os.environ.items() if name not in {"DESK_CONFIG", "DESK_CLOCK"}}
    done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
        command,
        env={**kept, "DESK_HOME": str(home)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    violated = [line for line in done.stderr.splitlines() if line.startswith("violation: ")]
    lines = done.stdout.splitlines()
    told: dict[str, object] = json.loads(lines[-1]) if lines else {"failed": done.stderr[-500:]}
    told.pop("home", None)
    return {**told, "exit_code": done.returncode, **({"violated": violated} if violated else {})}


if __name__ == "__main__":
    main()
