"""`desk ui`: the Dagster web server and daemon on loopback."""

import os
import sys
from pathlib import Path

from desk.output import say
from desk.runner import prepare_home
from trading_assets.core.settings import PROJECT


def run_ui(port: int) -> None:
    """Replaces this process by `dagster dev`; the web server has no login, so it listens on 127.0.0.1 only."""
    home = prepare_home()
    say(f"http://127.0.0.1:{port} (Dagster's home is {home.dagster}); stop it with Ctrl-C")
    dagster = str(Path(sys.executable).with_name("dagster"))
    os.chdir(PROJECT)
    os.execv(dagster, [dagster, "dev", "-h", "127.0.0.1", "-p", str(port), "-w", str(PROJECT / "workspace.yaml")])  # noqa: S606 - our own interpreter's dagster, no shell
