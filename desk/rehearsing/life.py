"""Lives the day: a home, the processes, the clock, an operator who releases the book once, and an observer beside them."""

import math
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from desk.rehearsing import home as homes
from desk.rehearsing.crew import DAEMON, GATEWAY, WATCHDOG, Crew
from desk.rehearsing.faults import Happened, Player, expectations
from desk.rehearsing.invariants import Verdict, verdicts
from desk.rehearsing.plan import Rehearsal
from desk.rehearsing.reading import Account, Ledger, late_rows, runs_of
from desk.rehearsing.seen import Evidence, Sample, Told
from desk.rehearsing.timeline import Timeline
from resources.brokers.opening import PAPER_ACCOUNT
from resources.clock import RealClock, ReplayedClock
from resources.stretching import stretched_settings
from trading_assets.broker.settings import load_execution
from trading_assets.core.calendar import XNYS
from trading_assets.core.day import Outline, Part
from trading_assets.core.errors import TransientFailure
from trading_assets.core.operations import load_operations
from trading_assets.core.preferences import load_preferences
from trading_assets.core.settings import PROJECT, Home, load_settings
from trading_assets.core.slots import slots_of

BOOT_S_MIN, BOOT_S_MAX, BOOTS = 12.0, 45.0, 1.5
"""Of the machine: from the start of the processes to the clock's first second, for which it stands: half as long again as Dagster's
own command took just before."""
LOOK_S, MEASURE_S = 0.2, 1.0
EVENING_S = 240.0
"""Of the machine: how long what is due may take after the day's last instant."""
AFTER_CLOSE = timedelta(minutes=5)
BACK_S = 40.0
"""Of the machine: how long a daemon needs from its start to its first look at the slots."""
TURN_S = 25.0
"""Of the machine: what a slot or a review needs to be asked for and done."""
RELEASE = "a rehearsal begins: its operator releases the book"
_ENDED = {"done", "missed", "failed"}
_UNSURE = {"PROPOSED", "SIGNED", "INTENT", "SUBMITTING", "UNKNOWN"}


@dataclass(frozen=True)
class Lived:
    """A day that was lived."""

    rehearsal: Rehearsal
    folder: Path
    evidence: Evidence
    verdicts: tuple[Verdict, ...]
    lines: tuple[Told, ...]
    happened: tuple[Happened, ...]
    usage: Mapping[str, Mapping[str, float]]
    latencies: Mapping[str, float]
    prepared_s: float
    seconds: float

    @property
    def violations(self) -> tuple[str, ...]:
        """Everything that broke an invariant or an expectation."""
        return tuple(f"{each.name}: {sentence}" for each in self.verdicts for sentence in each.broken)


@dataclass
class Switching:
    """How long Dagster's own command took: what starting it costs on this machine now."""

    seconds: float = 0.0

    def note(self, _: int, seconds: float) -> None:
        """It has ended."""
        self.seconds = seconds


@dataclass
class Stage:
    """A home that is ready, and what runs on it."""

    rehearsal: Rehearsal
    home: Home
    config: Path
    clock: ReplayedClock
    crew: Crew
    timeline: Timeline
    player: Player
    samples: list[Sample] = field(default_factory=list)
    released: bool = False

    @property
    def ledger(self) -> Ledger:
        """The tables of the session."""
        return self.player.ledger


def live(rehearsal: Rehearsal, folder: Path, source: Path, pasts: Path, tell: Callable[[str], None]) -> Lived:
    """Prepares the home, lives the day in it and judges what came of it; the processes are ended whatever happens.

    Args:
        source: The configuration that is copied.
        pasts: Where prepared pasts are kept.
    """
    begun = time.monotonic()
    home, config = Home(folder / "home"), folder / "config"
    homes.configure(source, config, rehearsal)
    home.root.mkdir(parents=True)
    with _sensors_started(home, config, rehearsal) as switching:
        known = homes.bring_past(home.root, config, rehearsal, pasts)
    if rehearsal.crash is not None:
        homes.crash(home.root, config, rehearsal)
    prepared_s = time.monotonic() - begun
    tell(f"the home is {home.root}; its past was {'there' if known else 'made'}, {prepared_s:.0f} s")
    boot_s = min(BOOT_S_MAX, max(BOOT_S_MIN, BOOTS * switching.seconds))
    stage = _stage(rehearsal, home, config, folder, tell, boot_s)
    left: tuple[int, ...] = ()
    try:
        _start(stage)
        _run(stage)
    finally:
        stage.player.end()
        left = stage.crew.stop()
        stage.timeline.look()
    evidence = _evidence(stage, left)
    ledger = stage.ledger
    expected = expectations(stage.player.happened, evidence, ledger.paged(), ledger.agreed_at())
    return Lived(
        rehearsal=rehearsal,
        folder=folder,
        evidence=evidence,
        verdicts=(*verdicts(evidence), *expected),
        lines=tuple(stage.timeline.lines),
        happened=tuple(stage.player.happened),
        usage=_usage(stage.crew, time.monotonic() - begun - prepared_s),
        latencies=_latencies(evidence, stage.clock),
        prepared_s=prepared_s,
        seconds=time.monotonic() - begun,
    )


def _stage(
    rehearsal: Rehearsal, home: Home, config: Path, folder: Path, tell: Callable[[str], None], boot_s: float
) -> Stage:
    began = (RealClock().now() + timedelta(seconds=boot_s)).replace(microsecond=0)
    clock = ReplayedClock(rehearsal.begins, rehearsal.speed, began)
    text = f"{rehearsal.begins.isoformat()}@{rehearsal.speed:g}/{began.isoformat()}"
    crew = Crew(homes.environment(home.root, config, text), folder / "logs")
    ledger = Ledger(home.ledger("desk"), rehearsal.session.day)
    timeline = Timeline(ledger, home.dagster / "history" / "runs.db", clock.now, tell)
    player = Player(rehearsal.faults, home, crew, clock, ledger, timeline.say)
    return Stage(rehearsal, home, config, clock, crew, timeline, player)


@contextmanager
def _sensors_started(home: Home, config: Path, rehearsal: Rehearsal) -> Iterator["Switching"]:
    """Dagster's home with every sensor switched on, made while the past is made; no schedule: those tick in real time."""
    environment = dict(homes.environment(home.root, config, rehearsal.begins.isoformat()))
    switch = [sys.executable, "-m", "desk.rehearsing.switching"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
        switch, env=environment, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        switching, begun = Switching(), time.monotonic()
        watcher = threading.Thread(target=lambda: switching.note(process.wait(), time.monotonic() - begun), daemon=True)
        watcher.start()
        try:
            yield switching
        except BaseException:
            process.kill()
            raise
        said, _ = process.communicate(timeout=EVENING_S)
        watcher.join(EVENING_S)
    if process.returncode:
        raise TransientFailure("the sensors cannot be switched on", value=" / ".join(said.splitlines()[-3:]))


def _start(stage: Stage) -> None:
    """The processes that this broker needs; the book is released while the clock still stands."""
    names = (GATEWAY, WATCHDOG, DAEMON) if stage.rehearsal.broker != "bars" else (DAEMON,)
    for name in names:
        stage.crew.start(name)
    stands = (stage.clock.began - RealClock().now()).total_seconds()
    stage.timeline.say("rehearsal", f"{', '.join(names)} started; the clock stands for {stands:.0f} s")
    stage.player.begin()


def _run(stage: Stage) -> None:
    account = Account(stage.home.root / PAPER_ACCOUNT)
    measured = float("-inf")
    ends = _Ending(stage)
    while not ends.is_over():
        now = time.monotonic()
        sample = account.sample(now)
        if sample is not None:
            stage.samples.append(sample)
        stage.player.tick()
        if now - measured >= MEASURE_S:
            measured = now
            for name in stage.crew.look():
                stage.timeline.say("rehearsal", f"{name} ended by itself: {stage.crew.last_words(name)}")
            stage.timeline.look()
            _release(stage)
        time.sleep(LOOK_S)


def _release(stage: Stage) -> None:
    """The operator's one act: the halt of a first start is lifted, as soon as both processes live. No other halt is."""
    if stage.released or stage.rehearsal.broker == "bars" or not stage.home.ledger("desk").exists():
        return
    halts = stage.ledger.halts()
    first = next((halt for halt in halts if halt.cause.startswith("C1 ")), None)
    if first is None or not stage.ledger.sign_of("watchdog"):
        return
    stage.released = True
    command = [sys.executable, "-m", "desk.main", "resume", str(first.id), RELEASE]
    subprocess.run(  # noqa: S603 - our own interpreter, no shell
        command, env=dict(stage.crew.environment), cwd=PROJECT, capture_output=True, timeout=EVENING_S, check=True
    )


class _Ending:
    """When the day is over: after its last instant, when every part has ended and no fault lasts, or nobody is left to end one."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        parts = parts_of(stage.rehearsal, stage.config)
        last = max((part.at for part in parts), default=stage.rehearsal.session.close)
        self._last = stage.rehearsal.until or max(last, stage.rehearsal.session.close + AFTER_CLOSE)
        self._keys = tuple(part.key for part in parts)

    def is_over(self) -> bool:
        """Whether the processes may be ended."""
        stage, now = self._stage, self._stage.clock.now()
        if now < self._last:
            return False
        left_s = EVENING_S - stage.rehearsal.machine(now - self._last)
        hopeless = not stage.crew.is_alive(DAEMON) and not stage.player.ends_within(left_s)
        return left_s < 0 or hopeless or (stage.player.is_over and self._all_ended())

    def _all_ended(self) -> bool:
        try:
            ended = {claim.key for claim in self._stage.ledger.claims() if claim.state in _ENDED}
            unsure = _UNSURE & set(self._stage.ledger.state_now())
        except sqlite3.Error:
            return False
        runs = runs_of(self._stage.home.dagster / "history" / "runs.db")
        ended |= {
            f"report/{run.partition}" for run in runs if run.job == "report" and run.status in {"SUCCESS", "FAILURE"}
        }
        busy = any(run.status in {"STARTED", "STARTING", "QUEUED", "NOT_STARTED"} for run in runs)
        return not busy and not unsure and set(self._keys) <= ended


def parts_of(rehearsal: Rehearsal, config: Path) -> tuple[Part, ...]:
    """Parts of the day that become due while the clock runs, those that somebody can run."""
    from trading_assets.jobs import PART_JOBS

    settings = stretched_settings(load_settings(config), rehearsal.speed)
    outline = Outline(
        XNYS,
        load_operations(config),
        settings.decisions,
        frozenset(PART_JOBS),
        dispatches=load_execution(config).dispatches,
    )
    until = rehearsal.until
    return tuple(
        part
        for part in outline.parts_of(rehearsal.session)
        if part.at >= rehearsal.begins and (until is None or part.at < until) and not _is_morning(part, rehearsal)
    )


def _is_morning(part: Part, rehearsal: Rehearsal) -> bool:
    return rehearsal.prepared and part.name in {"facts", "opinions"}


def _evidence(stage: Stage, left: Sequence[int]) -> Evidence:
    rehearsal, ledger, config = stage.rehearsal, stage.ledger, stage.config
    session, settings, execution = rehearsal.session, load_settings(config), load_execution(config)
    preferences, _ = load_preferences(config / "preferences.yaml")
    ended_at = stage.clock.now()
    has_broker = rehearsal.broker != "bars" and (stage.home.root / PAPER_ACCOUNT).exists()
    account = Account(stage.home.root / PAPER_ACCOUNT)
    until = min(rehearsal.until or session.close, session.close)
    due = tuple(
        slot.label for slot in slots_of(session, settings.decisions.slots) if rehearsal.begins <= slot.at < until
    )
    decisions = ledger.decisions()
    evidence = Evidence(
        due=due,
        parts=tuple(part.key for part in parts_of(rehearsal, config) if part.name != "slot"),
        opened=session.open,
        closed=session.close,
        ended_at=ended_at,
        speed=rehearsal.speed,
        starting_cash=Decimal(str(settings.paper.starting_cash_usd)),
        limits=preferences.model_dump(),
        sectors=settings.market.sectors,
        naked_s=execution.reactions.naked_seconds + 2 * execution.rhythm.reconcile_seconds,
        has_broker=has_broker,
        decisions=decisions,
        intents=ledger.intents(),
        booked=ledger.executions(),
        halts=ledger.halts(),
        claims=ledger.claims(),
        runs=runs_of(stage.home.dagster / "history" / "runs.db"),
        orders=account.orders() if has_broker else (),
        fills=account.fills() if has_broker else (),
        samples=_samples(stage, account) if has_broker else (),
        bar_orders=0 if has_broker else ledger.bar_orders(),
        bar_fills=() if has_broker else ledger.bar_fills(),
        close=ledger.close(),
        journaled=ledger.journaled(),
        missed_in_words=ledger.missed_in_words(),
        gate_at=ledger.gate_at("daily_bars", XNYS.previous(session.day).day),
        late_rows=tuple(late_rows(stage.home.lake, session.day, {each.slot: each.as_of for each in decisions})),
        report=_report(stage.home, session.key),
        alive=tuple(left),
        lost=tuple(stage.crew.ended),
        proof=_proof(stage),
    )
    return replace(evidence, excused=excused(evidence, stage.player.happened, parts_of(rehearsal, config)))


def _samples(stage: Stage, account: Account) -> tuple[Sample, ...]:
    """Those of the day, and a last one of the account as it was left."""
    last = account.sample(time.monotonic())
    return (*stage.samples, *((last,) if last is not None else ()))


def excused(evidence: Evidence, happened: Sequence[Happened], parts: Sequence[Part]) -> Mapping[str, str]:
    """Slots and reviews that a fault left no time for, each with its reason."""
    found: dict[str, str] = {}
    for each in happened:
        if each.fault.name == "kill-daemon":
            back = (each.until or evidence.ended_at) + timedelta(seconds=BACK_S * evidence.speed)
            for part in parts:
                if _left_s(part, each.at, back, evidence.speed) < TURN_S:
                    found[part.label if part.name == "slot" else part.key] = each.fault.words
        if each.fault.name == "kill-run" and " of slot " in each.note:
            found[each.note.rpartition(" ")[2]] = each.fault.words
    return found


def _left_s(part: Part, since: datetime, until: datetime, speed: float) -> float:
    """Seconds of the machine that a part has outside a gap; the most of before and after, for a turn is not divided."""
    if part.until <= since or part.at >= until:
        return math.inf
    before, after = since - part.at, part.until - until
    return max(before, after).total_seconds() / speed


def _report(home: Home, key: str) -> str:
    found = home.reports / "desk" / key / "report.md"
    return str(found) if found.exists() and found.stat().st_size else ""


def _proof(stage: Stage) -> tuple[str, ...]:
    """The desk's own proof of its ledger, by its own command."""
    command = [sys.executable, "-m", "desk.main", "doctor", "--verify-ledger", "--json"]
    done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
        command,
        env=dict(stage.crew.environment),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=EVENING_S,
        check=False,
    )
    return (
        tuple(line for line in (done.stdout + done.stderr).splitlines() if line.strip())[:5] if done.returncode else ()
    )


def _usage(crew: Crew, seconds: float) -> Mapping[str, Mapping[str, float]]:
    return {
        name: {
            "cpu_share": round(used.cpu_s / seconds, 4) if seconds > 0 else 0.0,
            "cpu_s": round(used.cpu_s, 1),
            "memory_mb_max": round(used.memory_mb_max, 0),
            "starts": used.starts,
        }
        for name, used in sorted(crew.usage.items())
    }


def _latencies(evidence: Evidence, clock: ReplayedClock) -> Mapping[str, float]:
    """Medians over the slots, seconds of the machine."""
    steps: dict[str, list[float]] = {
        "due_to_asked": [],
        "asked_to_started": [],
        "started_to_ended": [],
        "due_to_order": [],
    }
    for run in evidence.runs:
        if run.slot in evidence.due and run.status == "SUCCESS":
            due = _machine_of(evidence.slot_at(run.slot), clock)
            steps["due_to_asked"].append(run.asked - due)
            steps["asked_to_started"].append(run.started - run.asked)
            steps["started_to_ended"].append(run.ended - run.started)
    first: dict[str, datetime] = {}
    for order in evidence.orders:
        first.setdefault(order.ref, order.since)
    for intent in evidence.intents:
        sent = first.get(f"D1:{intent.id}")
        if sent is not None and intent.slot in evidence.due:
            steps["due_to_order"].append((sent - evidence.slot_at(intent.slot)).total_seconds() / evidence.speed)
    return {f"{name}_s_p50": round(statistics.median(each), 2) for name, each in steps.items() if each}


def _machine_of(instant: datetime, clock: ReplayedClock) -> float:
    """The machine's instant at which the clock showed one, seconds since 1970."""
    return (clock.began + (instant - clock.start) / clock.speed).astimezone(UTC).timestamp()
