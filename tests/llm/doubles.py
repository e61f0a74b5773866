"""A double of a command-line program in a folder of its own, and whether a process still runs."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.llm.routes import OpenRoute
from tests.llm.opened import opened, settings_of
from trading_assets.reasoning.model import RouteName

PROGRAM = Path(__file__).parent / "cli_doubles" / "program.py"
SECRETS = {
    "ANTHROPIC_API_KEY": "CANARY-anthropic-0123456789",
    "OPENAI_API_KEY": "CANARY-openai-0123456789",
    "DESK_KEY": "CANARY-desk-0123456789",
    "LEDGER_URL": "postgresql://desk:CANARY@127.0.0.1/desk",
}
TOKEN = "subscription-token-0123456789"


@dataclass(frozen=True)
class Double:
    """The program of one test."""

    path: Path

    def does(self, **act: Any) -> None:
        """What it does from now on; see the program."""
        (self.path.parent / "act.json").write_text(json.dumps(act))

    @property
    def seen(self) -> Mapping[str, Any]:
        """How it was called the last time."""
        seen: Mapping[str, Any] = json.loads((self.path.parent / "seen.json").read_text())
        return seen

    @property
    def was_called(self) -> bool:
        """Whether it ever got as far as reading its question."""
        return (self.path.parent / "seen.json").exists()

    def route(self, name: RouteName, **more: Any) -> OpenRoute:
        """The route over this program, in an environment full of secrets."""
        environment = {"PATH": os.environ["PATH"], "HOME": "/home/of-somebody", "LANG": "C.UTF-8", **SECRETS}
        if name == "claude-cli":
            environment["CLAUDE_CODE_OAUTH_TOKEN"] = TOKEN
        return opened(settings_of(name, command=str(self.path), **more), environment)


def install(folder: Path) -> Double:
    """A double in the folder."""
    path = folder / "program"
    shutil.copy(PROGRAM, path)
    path.chmod(0o755)
    double = Double(path)
    double.does()
    return double


def ends(pid: int, patience_s: float = 10.0) -> bool:
    """Whether the process ends (or is a zombie) before patience does."""
    for _ in range(int(patience_s / 0.02)):
        status = Path(f"/proc/{pid}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.02)
    return False
