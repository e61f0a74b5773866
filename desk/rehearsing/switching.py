"""`python -m desk.rehearsing.switching`: Dagster's home of a rehearsal, with every sensor of the desk switched on."""

import subprocess
import sys
from pathlib import Path

from desk.runner import prepare_home
from trading_assets.core.settings import PROJECT


def main() -> int:
    """The exit code of Dagster's own command."""
    prepare_home()
    dagster = Path(sys.executable).with_name("dagster")
    command = [str(dagster), "sensor", "start", "--start-all", "-w", str(PROJECT / "workspace.yaml")]
    return subprocess.run(command, cwd=PROJECT, check=False).returncode  # noqa: S603 - our own interpreter's dagster, no shell


if __name__ == "__main__":
    sys.exit(main())
