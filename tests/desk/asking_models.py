"""A configuration that asks the scripted model server instead of the rules, and what a desk's guide is sent over the wire."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.llm.council import inputs_in
from tests.llm.desks import KEYS
from tests.llm.server import ModelServer, Request
from trading_assets.core.settings import PROJECT

LOOKS: dict[str, Any] = {"calls": [{"tool": "news", "symbol": "IBM"}], "reply": [], "citations": [], "proposal": None}


def configured(folder: Path, server: ModelServer, **changes: Any) -> Path:
    """The committed configuration with `mode: models`, the server in place of the first provider, and other words on top."""
    shutil.copytree(PROJECT / "config", folder)
    path = folder / "reasoning.yaml"
    told = yaml.safe_load(path.read_text())
    route = next(each for each in told["routes"] if each["name"] == "anthropic")
    told |= {"mode": "models", "routes": [{**route, "base_url": server.url("anthropic"), "timeout_s": 5.0}], **changes}
    path.write_text(yaml.safe_dump(told))
    return folder


def environment(patch: Any, config: Path) -> None:
    """The desk reads that configuration and has a key for the server."""
    patch.setenv("DESK_CONFIG", str(config))
    patch.setenv("ANTHROPIC_API_KEY", KEYS["ANTHROPIC_API_KEY"])


def replying(*lines: str, citations: tuple[str, ...] = (), proposal: dict[str, str] | None = None) -> dict[str, Any]:
    """A reply as a model sends it."""
    return {"calls": [], "reply": list(lines), "citations": list(citations), "proposal": proposal}


def shown(request: Request) -> dict[str, Any]:
    """The guide's inputs as they stood in the prompt."""
    return inputs_in(request)


def system_of(request: Request) -> str:
    """The system text of a request, as it arrived."""
    return json.dumps(request.body["system"], sort_keys=True)
