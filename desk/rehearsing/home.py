"""A home for one rehearsal: its own configuration, its own past, nothing of the operator's desk.

The past (bars, features, regimes, minutes of the day) takes most of a minute to make and never changes: it is made once for each
market, day and version of the program, and copied from then on.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from desk.rehearsing.keeper import mark
from desk.rehearsing.plan import PAST_SESSIONS, Rehearsal
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.settings import PROJECT, Home
from trading_assets.core.strict_yaml import StrictLoader

REHEARSALS, PASTS = "rehearsals", "pasts"
_SOURCES = ("trading_assets", "resources", "simulation")
_KEPT = ("lake", "ledger", "journal", "keys")
_MAKE_S = 600.0
Yaml = dict[str, Any]


def new_folder(home: Home, rehearsal: Rehearsal, wanted: Path | None) -> Path:
    """An empty folder below DESK_HOME/rehearsals, or the one that was asked for; PermanentFailure where that is not empty."""
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        if any(wanted.iterdir()):
            raise PermanentFailure("a rehearsal needs an empty folder", value=wanted, hint="name another --home")
        return wanted.resolve()
    above = home.root / REHEARSALS
    for number in range(1, 10_000):
        folder = above / f"{rehearsal.session.key}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise PermanentFailure("there are too many rehearsals of this day", value=above, hint="delete old ones")


def configure(source: Path, target: Path, rehearsal: Rehearsal) -> None:
    """A copy of the configuration, changed where the rehearsal must not reach the world: no model is paid, nobody is called."""
    shutil.copytree(source, target)
    for name, change in _CHANGES.items():
        path = target / f"{name}.yaml"
        told: Yaml = yaml.load(path.read_text(), Loader=StrictLoader) if path.exists() else {}  # noqa: S506
        change(told, rehearsal)
        path.write_text(yaml.safe_dump(told, sort_keys=False, allow_unicode=True))


def _execution(told: Yaml, rehearsal: Rehearsal) -> None:
    told |= {"broker": rehearsal.broker, "mode": "paper", "second_prices": "lake"}
    told["feed"] = {**told.get("feed", {}), "quotes": "lake"}


def _settings(told: Yaml, rehearsal: Rehearsal) -> None:
    market = told["market"]
    market |= {"fallbacks": [], "cross_check": None, "provider": rehearsal.market}
    if rehearsal.market == "simulated":
        market |= {"simulated_seed": rehearsal.seed, "instruments": simulated_instruments(rehearsal)}
    if rehearsal.market == "files":
        market["files_path"] = str(rehearsal.files)
    if rehearsal.slots:
        told["decisions"]["slots"] = list(rehearsal.slots)


def _operations(told: Yaml, rehearsal: Rehearsal) -> None:
    told["runs"] = {**told.get("runs", {}), "launcher": rehearsal.launcher}
    told["day"] = {**told.get("day", {}), "premarket_from": rehearsal.premarket_from}
    told["telemetry"] = {**told.get("telemetry", {}), "prometheus_port": 0}


def _notifications(told: Yaml, _: Rehearsal) -> None:
    told |= {"console": False, "file": True, "channels": []}


def _reasoning(told: Yaml, _: Rehearsal) -> None:
    told["mode"] = "rules"


_CHANGES = {
    "execution": _execution,
    "settings": _settings,
    "operations": _operations,
    "notifications": _notifications,
    "reasoning": _reasoning,
}


def simulated_instruments(rehearsal: Rehearsal) -> list[Mapping[str, str]]:
    """The first of the simulated market that live through the whole past and are never halted for a day."""
    from simulation.market import SimulatedMarket

    first = XNYS.previous(rehearsal.session.day, PAST_SESSIONS).day
    alive = (
        one
        for one in SimulatedMarket(rehearsal.seed).cast()
        if one.first <= first and rehearsal.session.day <= one.last and not one.halts
    )
    return [
        {"symbol": one.symbol, "sector": one.sector} for one, _ in zip(alive, range(rehearsal.symbols), strict=False)
    ]


def environment(home: Path, config: Path, clock: str) -> Mapping[str, str]:
    """What every process of the rehearsal is given: this home, this configuration, this clock, and no key of anybody's."""
    kept = {name: value for name, value in os.environ.items() if not _is_secret(name)}
    return {
        **kept,
        **mark(),
        "DESK_HOME": str(home),
        "DESK_CONFIG": str(config),
        "DAGSTER_HOME": str(home / "dagster"),
        "DESK_CLOCK": clock,
    }


def bring_past(home: Path, config: Path, rehearsal: Rehearsal, pasts: Path) -> bool:
    """Puts the past into the home, making it where no rehearsal has made it before; whether it was there.

    For a clock that starts after the morning, what the analysts said in it belongs to the past.
    """
    kept = pasts / _past_key(config, rehearsal)
    with _alone(kept):
        found = kept.exists()
        if not found:
            made = kept.with_name(f"{kept.name}.new")
            shutil.rmtree(made, ignore_errors=True)
            _run_past(made, config, rehearsal, "prepared" if rehearsal.prepared else "make")
            shutil.rmtree(made / "dagster", ignore_errors=True)
            made.rename(kept)
    for name in _KEPT:
        if (kept / name).exists():
            shutil.copytree(kept / name, home / name)
    return found


def crash(home: Path, config: Path, rehearsal: Rehearsal) -> None:
    """Puts the flash crash into the minutes of this home."""
    at = rehearsal.crash.at if rehearsal.crash else None
    if at is not None:
        _run_past(home, config, rehearsal, "crash", at.isoformat())


def _run_past(home: Path, config: Path, rehearsal: Rehearsal, what: str, detail: str = "") -> None:
    """In a process of its own: another home, another clock."""
    command = [sys.executable, "-m", "desk.rehearsing.past", what, rehearsal.session.key, detail]
    clock = XNYS.session(XNYS.previous(rehearsal.session.day).day).close.astimezone(NEW_YORK)
    done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
        command,
        env=dict(environment(home, config, clock.isoformat())),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=_MAKE_S,
        check=False,
    )
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        killed = [f"killed by signal {-done.returncode}"] if done.returncode < 0 else []
        raise PermanentFailure(
            "the past of the rehearsal cannot be made", value="; ".join([*said[-3:], *killed]), hint=f"look into {home}"
        )


def _past_key(config: Path, rehearsal: Rehearsal) -> str:
    """Names a past by everything that it follows from: market, day, settings and program."""
    digest = hashlib.sha256(f"{PAST_SESSIONS} {rehearsal.prepared}\n".encode())
    for name in ("settings", "documents", "universes", "watchlist", "agents"):
        path = config / f"{name}.yaml"
        told: Yaml = yaml.load(path.read_text(), Loader=StrictLoader) if path.exists() else {}  # noqa: S506
        told.pop("decisions", None)
        digest.update(yaml.safe_dump(told).encode())
    for source in _SOURCES:
        for path in sorted((PROJECT / source).rglob("*.py")):
            digest.update(f"{path.relative_to(PROJECT)}\n".encode() + path.read_bytes())
    return f"{rehearsal.market}-{rehearsal.session.key}-{digest.hexdigest()[:16]}"


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Two rehearsals that need the same past make it once."""
    import fcntl

    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_secret(name: str) -> bool:
    return name == "LEDGER_URL" or name.endswith(("_API_KEY", "_URL", "_TOKEN"))
