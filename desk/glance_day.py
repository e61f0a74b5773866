"""The day as a glance shows it: what of it is decided, done, due or missed, how fresh the facts are, and the machine's health."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from resources.day.claims import Claims
from resources.day.looking import facts_problem, is_briefed, outline_of
from resources.desk import DESK, DeskResource
from trading_assets.core.asking import Claim
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.day import Outline, Part
from trading_assets.core.ports import Span
from trading_assets.core.slots import is_between
from trading_assets.core.tables import FACTS, Table
from trading_assets.jobs import PART_JOBS

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from trading_assets.execution.ports import Decision, SessionClose

_LOOK_BACK = 10


def day_of(
    desk: DeskResource, session: Session, decided: "Sequence[Decision]", *, now: datetime, has_ledger: bool
) -> dict[str, Any]:
    """Slots, looks and parts of a session, each with its state: later, due, asked, decided or done, failed, missed, not asked."""
    outline = outline_of(desk, PART_JOBS)
    parts = outline.parts_of(session)
    claims = Claims(desk.engine(DESK), DESK, "") if has_ledger else None
    held = claims.read(part.key for part in parts) if claims else {}
    begun = claims.begun(as_of=now, keep=False) if claims else now
    decisions = {each.slot: each for each in decided}
    slots = [_slot(part, decisions, held.get(part.key), now, begun) for part in parts if part.name == "slot"]
    others = [_part(desk, part, held.get(part.key), now, begun) for part in parts if part.name != "slot"]
    looks = [{"slot": each.slot, "why": each.reason} for each in decided if is_between(each.slot)]
    return {"session": session.key, "slots": slots, "looks": looks, "parts": others}


def _slot(
    part: Part, decisions: "Mapping[str, Decision]", claim: Claim | None, now: datetime, begun: datetime
) -> dict[str, Any]:
    decision = decisions.get(part.label)
    if decision is not None:
        told = {"state": "decided", "why": decision.reason, "plans": decision.plans, "vetoes": decision.vetoes}
        return {"slot": part.label, **told}
    state, why = _state(part, claim, now, begun)
    return {"slot": part.label, "state": state, "why": why}


def _part(desk: DeskResource, part: Part, claim: Claim | None, now: datetime, begun: datetime) -> dict[str, Any]:
    state, why = _state(part, claim, now, begun)
    if state not in {"done", "missed"} and _is_there(desk, part):
        state, why = "done", ""
    at = f"{part.at.astimezone(NEW_YORK):%H:%M}"
    return {"part": f"{part.name} {part.label}".strip(), "due": at, "state": state, "why": why}


def _state(part: Part, claim: Claim | None, now: datetime, begun: datetime) -> tuple[str, str]:
    """Out of the claim where there is one; otherwise out of the time alone."""
    if claim is not None:
        return claim.state, claim.why
    if now < part.at:
        return "later", ""
    if now < part.until:
        return "due", ""
    return ("not asked", "the desk had not begun") if part.until <= begun else ("missed", "not recorded yet")


def _is_there(desk: DeskResource, part: Part) -> bool:
    match part.name:
        case "facts":
            return not facts_problem(desk, XNYS.previous(part.session.day))
        case "opinions":
            return is_briefed(desk, part.session)
        case "report":
            return (desk.home().reports / DESK / part.session.key / "report.md").exists()
    return False


# Facts


def data_of(
    desk: DeskResource, lane: str, close: "SessionClose | None", *, now: datetime, has_gates: bool
) -> dict[str, Any]:
    """What is stored and how new it is, against what the session needs."""
    told: dict[str, Any] = {"last_settled_session": close.session.isoformat() if close else None}
    needed = _needed(desk, lane, now)
    return told | {"tables": [_table(desk, table, where, day, has_gates) for table, where, day in needed]}


def _needed(desk: DeskResource, lane: str, now: datetime) -> list[tuple[Table, str, date]]:
    """Facts of the session before, from the post-close on those of the session itself; opinions of the day."""
    from trading_assets.features.model import INDICATORS
    from trading_assets.market.model import DAILY_BARS
    from trading_assets.regimes.model import REGIME_LABELS
    from trading_assets.theses.model import STANCES

    outline: Outline = outline_of(desk, PART_JOBS)
    closed = XNYS.last_closed(now)
    known = closed if now >= outline.postclose_at(closed) else XNYS.previous(closed.day)
    opinions_of = XNYS.today(now) or XNYS.last_closed(now)
    facts = [(table, FACTS, known.day) for table in (DAILY_BARS, INDICATORS, REGIME_LABELS)]
    return [*facts, *([(STANCES, DESK, opinions_of.day)] if lane == DESK else [])]


def _table(desk: DeskResource, table: Table, lane: str, needed: date, has_gates: bool) -> dict[str, Any]:
    newest = _newest(desk, table, lane, needed)
    told = {"table": table.name, "newest": newest, "needed": needed, "fresh": newest is not None and newest >= needed}
    if newest is None or lane != FACTS or not has_gates:
        return told
    gate = desk.gates().gates(table.name, Span(newest, newest)).get(newest)
    if gate is None:
        return told | ({"gate": "not judged"} if table.name == "daily_bars" else {})
    return told | {"gate": "passed" if gate.passed else "; ".join(gate.failures)}


def _newest(desk: DeskResource, table: Table, lane: str, needed: date) -> date | None:
    """Of the last sessions; where there is none, of all."""
    lake = desk.lake()
    near = Span(XNYS.previous(needed, _LOOK_BACK).day, XNYS.next(needed, 2).day)
    found = lake.versions(table, near, lane=lane) or lake.versions(table, Span(XNYS.first, XNYS.last), lane=lane)
    return max(found, default=None)


# The machine


def health_of(engine: "Engine", now: datetime) -> dict[str, Any]:
    """The newest round that `desk health` wrote down, and what of it is not normal."""
    from resources.ledger.health import SqlHealth

    rounds = SqlHealth(engine).newest()
    if not rounds:
        return {"state": "unknown", "why": "never checked; desk health"}
    newest = rounds[-1]
    checks = [check for check in newest.checks.get("checks", ()) if check["state"] != "normal"]
    return {"state": newest.state, "age_seconds": round((now - newest.at).total_seconds(), 1), "checks": checks}
