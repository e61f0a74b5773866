"""The checks: each looks at one thing and says its state, what it found, what that is held against, and what to do next."""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta

from resources.health.model import Check, Report, State, graded
from resources.health.sight import LedgerSeen, Sight
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.slots import slots_of

PROCESSES = ("gateway", "watchdog", "daemon")
CRITICAL_TIMES = 3
"""A silence of so many bounds is critical, as it is for the watchdog."""
GB, MB = 1e9, 1e6
WAL_WARNING_MB, WAL_CRITICAL_MB = 256.0, 2048.0
CLOCK_WARNING_S, CLOCK_CRITICAL_S = 2.0, 30.0
ANSWERS_MIN = 5
"""An agent that was asked less often than that on a day is not judged by its failures."""
BEFORE_OPEN = timedelta(minutes=15)
_LOG = logging.getLogger("desk.health")
Looks = Callable[[Sight], Iterator[Check]]


def examine(sight: Sight, *, drift_s: float = 0.0) -> Report:
    """Every check, in order; one that fails for a reason of its own is unknown, and the others go on.

    Args:
        drift_s: By how much the machine's clock ran apart from its counter since the last round, seconds.
    """
    looks: Mapping[str, Looks] = {**CHECKS, "clock": lambda seen: clock(seen, drift_s)}
    well = Check("configuration", "normal", "readable", "", "the configuration can be read")
    checks = [well, *(check for name, look in looks.items() for check in _examined(name, look, sight))]
    return Report(sight.now, sight.machine_now, tuple(checks))


def _examined(name: str, look: Looks, sight: Sight) -> Iterator[Check]:
    try:
        yield from look(sight)
    except Exception as bug:  # noqa: BLE001 - a check that cannot be made must not hide the others
        _LOG.exception("the check %s failed", name)
        why = f"the check itself failed: {type(bug).__name__}: {bug}"
        yield Check(name, "unknown", "unknown", "", why, "desk doctor")


def processes(sight: Sight) -> Iterator[Check]:
    """Signs of life of the processes that the broker needs, and whether their process ids live."""
    if not sight.execution.dispatches:
        why = f"broker {sight.execution.broker} needs no gateway and no watchdog"
        yield Check("processes", "normal", "none needed", "", why)
        return
    watch = sight.execution.watch
    seconds = {"gateway": watch.gateway_seconds, "watchdog": watch.watchdog_seconds, "daemon": watch.daemon_seconds}
    for process in PROCESSES:
        if sight.ledger is None:
            yield Check(process, "unknown", "unknown", "", f"the ledger cannot be read: {sight.problem}", "desk doctor")
        else:
            yield _process(process, sight, sight.ledger, timedelta(seconds=seconds[process]))


def _process(name: str, sight: Sight, ledger: LedgerSeen, limit: timedelta) -> Check:
    bound = f"{limit.total_seconds():.0f} s"
    starts = "make ui" if name == "daemon" else f"desk {name}"
    beat = ledger.beats.get(name)
    if beat is None:
        return Check(name, "warning", "never", bound, f"the {name} has never given a sign of life", starts)
    age = f"{beat.age.total_seconds():.0f} s"
    seen = sight.alive.get(beat.pid)
    if not beat.is_fresh(limit):
        grave: State = "critical" if _is_open(sight.now) and not beat.is_fresh(CRITICAL_TIMES * limit) else "warning"
        return Check(name, grave, age, bound, f"the {name} gave its last sign of life {age} ago", starts)
    if seen is None:
        why = f"process {beat.pid} of the {name} does not live on this machine any more"
        return Check(name, "critical" if _is_open(sight.now) else "warning", age, bound, why, starts)
    use = f"{age}; {seen.resident_bytes / MB:.0f} MB, {seen.cpu_seconds:.0f} CPU s, {seen.open_files} open files"
    return Check(name, "normal", use, bound, f"the {name} lives (process {beat.pid})")


def memory(sight: Sight) -> Iterator[Check]:
    """What of the memory that this process may use is in use."""
    health, machine = sight.operations.health, sight.machine
    warning, critical = health.memory_warning_fraction, health.memory_critical_fraction
    used = machine.memory_used_fraction
    value = f"{used:.0%} of {machine.memory_bytes / GB:.1f} GB"
    state = graded(used, warning=warning, critical=critical)
    why = f"{value} are in use ({machine.memory_bound_by})"
    hint = "" if state == "normal" else "end what is not needed; desk doctor shows what the desk takes"
    yield Check("memory", state, value, f"{warning:.0%}, {critical:.0%}", why, hint)


def disk(sight: Sight) -> Iterator[Check]:
    """What is free where the desk's home is."""
    health = sight.operations.health
    free, warning, critical = sight.disk_free_bytes / GB, health.disk_warning_gb, health.disk_critical_gb
    state: State = "normal" if free > warning else "warning" if free > critical else "critical"
    hint = "" if state == "normal" else "desk compact; desk run housekeep"
    yield Check(
        "disk", state, f"{free:.1f} GB", f"{warning:g} GB, {critical:g} GB", f"{free:.1f} GB of disk are free", hint
    )


def ledger(sight: Sight) -> Iterator[Check]:
    """Whether it can be read, and how large it and its log are; whether it can be written, the recording of the round shows."""
    if sight.ledger is None:
        yield Check(
            "ledger", "critical", "not readable", "", f"the ledger cannot be read: {sight.problem}", "desk doctor"
        )
        return
    wal = sight.wal_bytes / MB
    state = graded(wal, warning=WAL_WARNING_MB, critical=WAL_CRITICAL_MB)
    value = f"{sight.ledger_bytes / MB:.1f} MB, log {wal:.1f} MB"
    why = "the ledger can be read"
    if state != "normal":
        why = f"the ledger's log has grown to {wal:.0f} MB: a reader holds an old snapshot"
    bound = f"log {WAL_WARNING_MB:.0f} MB, {WAL_CRITICAL_MB:.0f} MB"
    yield Check("ledger", state, value, bound, why, "" if state == "normal" else "end the oldest process of the desk")


def halts(sight: Sight) -> Iterator[Check]:
    """Open halts: somebody must answer them."""
    for seen in _readable(sight, "halts"):
        if isinstance(seen, Check):
            yield seen
        elif seen.halts:
            yield Check(
                "halts", "warning", f"{len(seen.halts)} open", "none", seen.halts[-1], "desk status; desk resume"
            )
        else:
            yield Check("halts", "normal", "none", "none", "no halt is open")


def broker(sight: Sight) -> Iterator[Check]:
    """How old the newest complete look at the account is, and whether it agrees with the ledger."""
    if not sight.execution.dispatches:
        yield Check("broker", "normal", "none", "", f"broker {sight.execution.broker} has no connection")
        return
    for seen in _readable(sight, "broker"):
        yield seen if isinstance(seen, Check) else _broker(sight, seen)


def _broker(sight: Sight, seen: LedgerSeen) -> Check:
    seconds = sight.execution.watch.gateway_seconds
    bound = f"{seconds:.0f} s"
    if seen.snapshot_at is None:
        return Check("broker", "unknown", "never", bound, "the broker was never looked at in full", "desk gateway")
    age = (sight.now - seen.snapshot_at).total_seconds()
    state = graded(abs(age), warning=seconds, critical=CRITICAL_TIMES * seconds)
    if state == "critical" and not _is_open(sight.now):
        state = "warning"
    if not seen.agrees:
        why = "ledger and broker disagree"
        return Check("broker", "critical", f"{age:.0f} s, disagrees", bound, why, "desk orders --open")
    why = f"the newest complete look at the account is {age:.0f} s old"
    return Check("broker", state, f"{age:.0f} s", bound, why, "" if state == "normal" else "desk orders")


def data(sight: Sight) -> Iterator[Check]:
    """Whether the bars that should be there by now are there, and passed their gate."""
    wanted = session_due(sight.now)
    for seen in _readable(sight, "data"):
        yield seen if isinstance(seen, Check) else _data(wanted, seen)


def session_due(now: datetime) -> date:
    """The session whose bars must be judged at `now`: that before the next open, from a quarter of an hour before it on."""
    upcoming = XNYS.today(now) or XNYS.next(now.astimezone(NEW_YORK).date())
    before = XNYS.previous(upcoming.day)
    return before.day if now >= upcoming.open - BEFORE_OPEN else XNYS.previous(before.day).day


def _data(wanted: date, seen: LedgerSeen) -> Check:
    newest = max(seen.gates, default=None)
    value = newest.isoformat() if newest else "none"
    gate = seen.gates.get(wanted)
    if gate is None:
        state: State = "unknown" if newest is None else "warning"
        why = f"no bars of {wanted} have been judged; the newest are {value}"
        return Check("data", state, value, wanted.isoformat(), why, "desk run facts")
    if not gate.passed:
        why = f"the bars of {wanted} did not pass: {gate.failures}"
        return Check("data", "warning", value, wanted.isoformat(), why, "desk status; desk ingest")
    return Check("data", "normal", value, wanted.isoformat(), f"the bars of {wanted} are there and passed their gate")


def slots(sight: Sight) -> Iterator[Check]:
    """Whether each slot whose time is over was decided, on a desk that decides at all."""
    for seen in _readable(sight, "slots"):
        yield seen if isinstance(seen, Check) else _slots(sight, seen)


def _slots(sight: Sight, seen: LedgerSeen) -> Check:
    session, decisions = XNYS.today(sight.now), sight.settings.decisions
    every = slots_of(session, decisions.slots) if session else ()
    over = [slot.label for slot in every if slot.at + decisions.grace <= sight.now]
    missed = [label for label in over if label not in seen.decided]
    value = f"{len(over) - len(missed)} of {len(over)} decided"
    if not seen.decides:
        return Check("slots", "normal", value, "", "the desk has decided nothing of late, so nothing is expected of it")
    if not missed:
        return Check("slots", "normal", value, "", "every slot that is over was decided")
    state: State = "critical" if missed[-2:] == over[-2:] and len(over) > 1 else "warning"
    why = f"nobody decided {', '.join(missed[-4:])}"
    return Check("slots", state, value, "all", why, "desk status; make ui")


def routes(sight: Sight) -> Iterator[Check]:
    """Breakers of routes to models; with all of them open the rules answer."""
    for seen in _readable(sight, "routes"):
        if isinstance(seen, Check):
            yield seen
        elif seen.breakers:
            names = ", ".join(f"{each.route} ({each.state})" for each in seen.breakers)
            why = f"routes are passed over: {names}; {seen.breakers[0].reason}"
            yield Check("routes", "warning", names, "closed", why, "desk costs")
        else:
            yield Check("routes", "normal", "closed", "closed", "no route to a model is passed over")


def agents(sight: Sight) -> Iterator[Check]:
    """Failures, time and cost of each agent today."""
    for seen in _readable(sight, "agents"):
        yield seen if isinstance(seen, Check) else _agents(sight, seen)


def _agents(sight: Sight, seen: LedgerSeen) -> Check:
    limit = sight.operations.health.failures_warning_fraction
    bad = {
        name: agent.failures / (agent.answers + agent.failures)
        for name, agent in seen.agents.items()
        if agent.answers + agent.failures >= ANSWERS_MIN and agent.failures > limit * (agent.answers + agent.failures)
    }
    answers = sum(agent.answers for agent in seen.agents.values())
    cost = sum(agent.cost_usd for agent in seen.agents.values())
    calls = max(1, answers)
    mean = sum(agent.latency_ms for agent in seen.agents.values()) / calls
    value = f"{answers} answers, {cost:.4f} USD, {mean:.0f} ms each"
    if not bad:
        return Check("agents", "normal", value, f"{limit:.0%} failures", "no agent fails more often than it may")
    names = ", ".join(f"{name} {share:.0%}" for name, share in bad.items())
    why = f"agents fail too often today: {names}"
    return Check("agents", "warning", value, f"{limit:.0%} failures", why, "desk costs")


def clock(sight: Sight, drift_s: float) -> Iterator[Check]:
    """Whether the machine's clock steps, and whether a sign of life lies in its future."""
    ahead = 0.0
    if sight.ledger is not None:
        ahead = max((-beat.age.total_seconds() for beat in sight.ledger.beats.values()), default=0.0) / sight.speed
    worst = max(abs(drift_s), ahead)
    state = graded(worst, warning=CLOCK_WARNING_S, critical=CLOCK_CRITICAL_S)
    bound = f"{CLOCK_WARNING_S:g} s, {CLOCK_CRITICAL_S:g} s"
    if state == "normal":
        yield Check("clock", state, f"{worst:.1f} s", bound, "the machine's clock runs evenly")
        return
    why = f"the machine's clock stepped by {drift_s:+.1f} s; a sign of life lies {ahead:.1f} s ahead"
    yield Check("clock", state, f"{worst:.1f} s", bound, why, "timedatectl status")


CHECKS: Mapping[str, Looks] = {
    "processes": processes,
    "memory": memory,
    "disk": disk,
    "ledger": ledger,
    "halts": halts,
    "broker": broker,
    "data": data,
    "slots": slots,
    "routes": routes,
    "agents": agents,
}


def _readable(sight: Sight, name: str) -> Iterator[LedgerSeen | Check]:
    """The ledger's part, or that it is unknown."""
    if sight.ledger is None:
        yield Check(name, "unknown", "unknown", "", "the ledger cannot be read", "desk doctor")
    else:
        yield sight.ledger


def _is_open(now: datetime) -> bool:
    session = XNYS.today(now)
    return session is not None and session.open <= now < session.close
