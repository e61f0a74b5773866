"""From a due slot to the order at the broker, beside an empty Dagster run: `python -m bench.slot_latency [--json] [--samples N]`.

Real processes: Dagster's daemon with its code servers, gateway, watchdog and the paper broker's account file; eight simulated
stocks, rules, DESK_CLOCK replayed at speed 1 from 09:31:20, when the second price of the open is known and the slot of 09:30 may be
decided. A slot is decided once, so each sample is a home and a daemon of its own. The slot becomes due for the daemon when the
bench switches the sensor `decision_slots` on, at a phase of the sensors' five seconds that is spread evenly over the samples; the
time ends with the order in the account file. The floor is taken in the same daemon right after it, at the same phase: a sensor asks
for a run of one asset in a light code location, and the time ends with that asset's first line. Stock and warm take turns.

Seconds. `ratio` is p50 ÷ floor_p50, `warm_ratio` the same for the warm launcher; `…_after_tick` leave out the wait for the sensor.
`shares` are medians of the parts of the desk's path, of each launcher.
"""

import argparse
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bench import empty_run
from bench.timing import emit
from resources.clock import RealClock
from trading_assets.core.settings import PROJECT, Home

if TYPE_CHECKING:
    import dagster as dg

LAUNCHERS = ("stock", "warm")
SENSOR, SLOT_JOB = "decision_slots", "decide"
SESSION, PATIENCE_S, FLOORS = "2023-06-26", 90.0, 2
BEGIN = datetime.fromisoformat(f"{SESSION}T09:31:20-04:00")
QUANTUM_S = 5.0
ACCOUNT = "paper-account.sqlite"
PARTS = ("tick", "queue", "process", "decision", "signing", "gateway")
_PAST = ("--from", "2022-06-01", "--to", "2023-06-23")


@dataclass
class Samples:
    """Seconds of one launcher, in the order in which they were taken."""

    slot: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    parts: list[Mapping[str, float]] = field(default_factory=list)
    floor_ticks: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one JSON line."""
    parser = argparse.ArgumentParser(description="Due slot to order at the broker, beside an empty Dagster run.")
    parser.add_argument("--json", action="store_true", help="accepted; the output is one JSON line anyway")
    parser.add_argument("--samples", type=int, default=3, help="slots for each launcher; each takes about 50 s")
    parser.add_argument("--home", type=Path, help="a folder that keeps the prepared home for the next time")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="desk-slot-") as folder:
        prepared = options.home or Path(folder) / "prepared"
        if not (prepared / "home" / "dagster").exists():
            _prepare(prepared)
        taken = {launcher: Samples() for launcher in LAUNCHERS}
        for number in range(options.samples):
            for launcher in LAUNCHERS:
                phase = QUANTUM_S * (number + 0.5) / options.samples
                _round(prepared, Path(folder) / f"{launcher}-{number}", launcher, phase, taken[launcher])
    emit(_figures(taken))


def _figures(taken: Mapping[str, Samples]) -> Mapping[str, Any]:
    stock, warm = (taken[launcher] for launcher in LAUNCHERS)
    told: dict[str, Any] = {"bench": "slot_latency", "samples": len(stock.slot), "floor_samples": len(stock.floor)}
    for prefix, samples in (("", stock), ("warm_", warm)):
        told |= {f"{prefix}{name}": value for name, value in _quantiles("", samples.slot).items()}
        told |= {f"{prefix}{name}": value for name, value in _quantiles("floor_", samples.floor).items()}
        told[f"{prefix}ratio"] = round(statistics.median(samples.slot) / statistics.median(samples.floor), 2)
        after = [each - parts["tick"] for each, parts in zip(samples.slot, samples.parts, strict=True)]
        bare = [each - tick for each, tick in zip(samples.floor, samples.floor_ticks, strict=True)]
        told[f"{prefix}p50_after_tick"] = round(statistics.median(after), 2)
        told[f"{prefix}floor_p50_after_tick"] = round(statistics.median(bare), 2)
    shares = {name: _medians(samples.parts) for name, samples in taken.items()}
    return {**told, "warm_to_stock_floor": round(told["warm_p50"] / told["floor_p50"], 2), "shares": shares}


def _quantiles(name: str, values: Sequence[float]) -> Mapping[str, float]:
    cuts = statistics.quantiles(values, n=20, method="inclusive") if len(values) > 1 else [values[0]] * 19
    return {f"{name}p50": round(cuts[9], 2), f"{name}p95": round(cuts[18], 2)}


def _medians(parts: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    return {name: round(statistics.median(each[name] for each in parts), 2) for name in PARTS}


def _prepare(prepared: Path) -> None:
    """Config, facts, opinions and a released account, as docs/live.md does it."""
    config = prepared / "config"
    shutil.copytree(PROJECT / "config", config)
    _edit(config / "execution.yaml", {"broker": "paper"})
    stocks = [{"symbol": f"SIM{n:03}", "sector": f"S{n % 4}"} for n in range(8)]
    settings = yaml.safe_load((config / "settings.yaml").read_text())
    _edit(config / "settings.yaml", {"market": {**settings["market"], "provider": "simulated", "instruments": stocks}})
    simulated = ("ingest", "--provider", "simulated", "--seed", "7")
    where = _environment(prepared / "home", config)
    _desk(where, *simulated, *_PAST)
    _desk(where, *simulated, "--frequency", "1m", "--from", SESSION, "--to", SESSION)
    for minute in ("45", "46"):
        _desk({**where, "DESK_CLOCK": f"{SESSION}T08:{minute}:00-04:00"}, "run", "premarket")
    early = {**where, "DESK_CLOCK": _clock(BEGIN - timedelta(minutes=30))}
    with _processes(early, prepared):
        _until(lambda: _open_halt(Home(prepared / "home")), "the first halt")
        _desk(early, "resume", "1", "first release")
    dagster = {**where, "DAGSTER_HOME": str(prepared / "home" / "dagster")}
    start = ("sensor", "start", SENSOR, "-w", str(PROJECT / "workspace.yaml"))
    _called([str(_beside("dagster")), *start], dagster)
    with _instance(Home(prepared / "home")) as instance:
        _switch(instance, on=False)


def _edit(path: Path, changes: Mapping[str, object]) -> None:
    told = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**told, **changes}))


def _round(prepared: Path, where: Path, launcher: str, phase: float, samples: Samples) -> None:
    """One daemon: a due slot, then the floor at the same phase."""
    shutil.copytree(prepared / "home", where)
    home = Home(where)
    _configure(home, launcher)
    began = RealClock().now()
    environment = {
        **_environment(where, prepared / "config"),
        "DESK_CLOCK": _clock(BEGIN, began),
        "DAGSTER_HOME": str(home.dagster),
        empty_run.FOLDER: str(where),
    }
    with ExitStack() as stack:
        stack.enter_context(_processes(environment, where))
        stack.enter_context(_process([sys.executable, "-m", "dagster._daemon", *_daemon(where)], environment, where))
        instance = stack.enter_context(_instance(home))
        _until(lambda: _ready(instance, home), "gateway, watchdog and daemon")
        _floor(instance, where, 0.0)
        ticked = _last_tick(instance)
        due = _wait_for_phase(ticked, phase)
        _switch(instance, on=True)
        _until(lambda: _ordered(home), "the order at the broker")
        ordered = _real(_ordered(home), began)
        samples.slot.append((ordered - due).total_seconds())
        samples.parts.append(_shares(instance, home, due, ordered, began))
        for _ in range(FLOORS):
            took, tick = _floor(instance, where, phase)
            samples.floor.append(took)
            samples.floor_ticks.append(tick)


def _floor(instance: "dg.DagsterInstance", where: Path, phase: float) -> tuple[float, float]:
    """One empty run: seconds from due to its first line, and how many of them the sensor let pass."""
    with suppress(FileNotFoundError):
        (where / empty_run.DONE).unlink()
    due = _wait_for_phase(_last_tick(instance), phase)
    _write(where / empty_run.DUE, due.isoformat())
    _until(lambda: (where / empty_run.DONE).exists() and (where / empty_run.DONE).read_text(), "the empty run")
    (where / empty_run.DUE).unlink()
    done = datetime.fromisoformat((where / empty_run.DONE).read_text())
    asked = _records(instance, empty_run.JOB)[0].create_timestamp
    _until(lambda: _records(instance, empty_run.JOB)[0].dagster_run.is_finished, "the empty run's end")
    return (done - due).total_seconds(), (asked - due).total_seconds()


def _write(path: Path, text: str) -> None:
    """At once: the sensor never reads half of it."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def _shares(
    instance: "dg.DagsterInstance", home: Home, due: datetime, ordered: datetime, began: datetime
) -> Mapping[str, float]:
    """The seconds until the run exists, is launched, begins its step, is sealed by the first and the last signer, is an order."""
    from dagster import DagsterEventType

    _until(lambda: _records(instance, SLOT_JOB)[0].dagster_run.is_finished, "the decision run's end")
    record = _records(instance, SLOT_JOB)[0]
    logs = instance.all_logs(record.dagster_run.run_id)
    at = {entry.dagster_event_type: entry.timestamp for entry in reversed(logs) if entry.dagster_event_type}
    with _reading(home.ledger("desk")) as ledger:
        first, last = ledger.execute("select min(at), max(at) from seals").fetchone()
    sealed = [_real(datetime.fromisoformat(each), began).timestamp() for each in (first, last)]
    moments = [due.timestamp(), record.create_timestamp.timestamp(), at[DagsterEventType.RUN_STARTING]]
    moments += [at[DagsterEventType.STEP_START], *sealed, ordered.timestamp()]
    return {name: b - a for name, a, b in zip(PARTS, moments, moments[1:], strict=False)}


def _records(instance: "dg.DagsterInstance", job: str) -> Sequence[Any]:
    from dagster import RunsFilter

    return instance.get_run_records(RunsFilter(job_name=job), limit=1)


def _wait_for_phase(ticked: float, phase: float) -> datetime:
    """Waits until the sensors' loop is at a phase of its five seconds; the instant."""
    now = RealClock().now().timestamp()
    time.sleep((ticked + phase - now) % QUANTUM_S)
    return RealClock().now()


def _ticks(instance: "dg.DagsterInstance") -> Sequence[Any]:
    from dagster._core.definitions.run_request import InstigatorType

    states = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    mine = [state for state in states if state.instigator_name == empty_run.empty_due.name]
    return instance.get_ticks(mine[0].instigator_origin_id, mine[0].selector_id, limit=1) if mine else ()


def _last_tick(instance: "dg.DagsterInstance") -> float:
    ticks = _ticks(instance)
    return float(ticks[0].timestamp) if ticks else 0.0


def _switch(instance: "dg.DagsterInstance", *, on: bool) -> None:
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.scheduler.instigation import InstigatorStatus

    states = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    (state,) = (each for each in states if each.instigator_name == SENSOR)
    instance.update_instigator_state(state.with_status(InstigatorStatus.RUNNING if on else InstigatorStatus.STOPPED))


def _ready(instance: "dg.DagsterInstance", home: Home) -> bool:
    """Both processes say that the desk may trade, and the daemon evaluates sensors."""
    with _reading(home.ledger("desk")) as ledger:
        fresh = ledger.execute("select process, state from heartbeats where at > ?", (_utc(BEGIN),)).fetchall()
    alive = {process for process, state in fresh if '"ACTIVE"' in state} >= {"gateway", "watchdog"}
    return alive and bool(_ticks(instance))


def _open_halt(home: Home) -> bool:
    """Once gateway and watchdog look at the desk, there is one: nobody has released the book."""
    with suppress(sqlite3.OperationalError), _reading(home.ledger("desk")) as ledger:
        processes = {name for (name,) in ledger.execute("select process from heartbeats")}
        return processes >= {"gateway", "watchdog"} and bool(ledger.execute("select count(*) from halts").fetchone()[0])
    return False


def _ordered(home: Home) -> str:
    """When the account file took the first order, in the desk's time; empty before."""
    with suppress(sqlite3.OperationalError), _reading(home.root / ACCOUNT) as account:
        return str(account.execute("select min(since) from orders").fetchone()[0] or "")
    return ""


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        yield connection


def _utc(instant: datetime) -> str:
    """As the ledger writes it."""
    return instant.astimezone(UTC).isoformat()


def _real(told: str | datetime, began: datetime) -> datetime:
    """The real instant at which the replayed clock showed this one."""
    shown = datetime.fromisoformat(told) if isinstance(told, str) else told
    return began + (shown - BEGIN)


def _configure(home: Home, launcher: str) -> None:
    text = (PROJECT / "dagster.yaml").read_text()
    if launcher == "warm":
        both = ["trading_assets.definitions", empty_run.__name__]
        block = {"module": "resources.launching.warm", "class": "WarmRunLauncher", "config": {"locations": both}}
        text += "\n" + yaml.safe_dump({"run_launcher": block})
    (home.dagster / "dagster.yaml").write_text(text)
    locations = [("desk", "trading_assets.definitions"), ("empty", empty_run.__name__)]
    loads = [{"python_module": {"module_name": module, "location_name": name}} for name, module in locations]
    (home.root / "workspace.yaml").write_text(yaml.safe_dump({"load_from": loads}))


def _daemon(where: Path) -> Sequence[str]:
    return ("run", "-w", str(where / "workspace.yaml"))


@contextmanager
def _instance(home: Home) -> Iterator["dg.DagsterInstance"]:
    import dagster as dg
    from dagster._core.instance import InstanceRef

    os.environ["DAGSTER_HOME"] = str(home.dagster)
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home.dagster))) as instance:
        yield instance


@contextmanager
def _processes(environment: Mapping[str, str], logs: Path) -> Iterator[None]:
    """Gateway and watchdog; the watchdog ends first, or it would halt for want of the other."""
    desk = str(_beside("desk"))
    with _process([desk, "gateway"], environment, logs), _process([desk, "watchdog"], environment, logs):
        yield


@contextmanager
def _process(command: Sequence[str], environment: Mapping[str, str], logs: Path) -> Iterator[None]:
    with (logs / f"{command[-1].replace('/', '_')[-20:]}.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=PROJECT)  # noqa: S603 - our own commands
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(home: Path, config: Path) -> dict[str, str]:
    return {**os.environ, "DESK_HOME": str(home), "DESK_CONFIG": str(config)}


def _clock(start: datetime, began: datetime | None = None) -> str:
    return f"{start.isoformat()}@1/{(began or RealClock().now()).isoformat()}"


def _desk(environment: Mapping[str, str], *words: str) -> None:
    _called([str(_beside("desk")), *words], environment)


def _called(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=PROJECT)  # noqa: S603 - our own commands
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stdout}{done.stderr}")


def _beside(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def _until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {PATIENCE_S:g} s: {what}")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
