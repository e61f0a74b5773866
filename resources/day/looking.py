"""One look at the day: what of it is due, done, on its way or missed, and what a run is asked for now.

Schedules and the catch-up sensor look through the same eyes. What proves a part is read from lake, ledger and reports; a part
that leaves nothing of its own is proven by its run.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from resources.clock import RealClock
from resources.desk import DESK, DeskResource
from trading_assets.core.asking import Answer, Ask, Claim, Missed, Patience, Rest, RunState, Settle, Standing, answer
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.day import Outline, Part, PartName, sessions_looked_at
from trading_assets.core.errors import TransientFailure
from trading_assets.core.ports import Clock, Span

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from resources.day.claims import Claims

SESSIONS_BACK = 10
PART_TAG, ATTEMPT_TAG, SLOT_TAG = "desk/part", "desk/attempt", "desk/slot"
# The sensors that start the report after a post-close run look every half minute.
REPORT_PATIENCE = timedelta(minutes=2)
_SHOWN = 6
_LOG = logging.getLogger("desk.day")
_FINAL = {"done", "failed", "missed"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A run to start: the part, the claim that was taken for it, and the sessions that it makes."""

    part: Part
    claim: Claim
    span: Span


@dataclass(frozen=True, slots=True)
class Look:
    """What one look came to. `why` says in a sentence why nothing was asked for."""

    asked: tuple[Asked, ...]
    missed: tuple[str, ...]
    why: str


@dataclass
class DayLook:
    """The parts of the desk's day, as they stand.

    Args:
        outline: Which parts there are.
        instance: Dagster's, whose history knows the runs.
        machine: The machine's clock.
    """

    desk: DeskResource
    outline: Outline
    instance: "DagsterInstance"
    machine: Clock = field(default_factory=RealClock)

    def look(
        self, *, as_of: datetime, asks: Collection[PartName], records: bool, patience: timedelta = timedelta(0)
    ) -> Look:
        """Asks for what is due among `asks`, each part at most once over all processes.

        Args:
            records: Whether ended attempts and missed parts are written down as well.
            patience: How long a part is left to its schedule.
        """
        claims = self._claims()
        begun = claims.begun(as_of=as_of, keep=records)
        first = begun.astimezone(NEW_YORK).date()
        sessions = sessions_looked_at(XNYS, as_of=as_of, begun=first, back=SESSIONS_BACK)
        every = (part for session in sessions for part in self.outline.parts_of(session))
        parts = sorted((part for part in every if part.until > begun), key=_in_turn)
        held = claims.read(part.key for part in parts)
        view = _View(self, held, as_of, sessions)
        hang = timedelta(minutes=self.outline.operations.runs.hang_minutes)
        waits = Patience(patience, foreign=hang)
        relevant = [part for part in parts if records or part.name in asks]
        answers = [view.answer(part, waits, claims.by) for part in relevant]
        asked = [
            made for one in answers if isinstance(one, Ask) and one.part.name in asks for made in view.take(one, claims)
        ]
        missed = view.record(answers, claims) if records else ()
        return Look(tuple(asked), missed, "" if asked else _why(answers, as_of))

    def _claims(self) -> "Claims":
        from resources.day.claims import Claims, history_of

        return Claims(self.desk.engine(DESK), DESK, history_of(self.instance), self.desk.journal_files(DESK))


@dataclass
class _View:
    """What one look sees."""

    day: DayLook
    held: Mapping[str, Claim]
    as_of: datetime
    sessions: Sequence[Session]

    def answer(self, part: Part, patience: Patience, by: str) -> Answer:
        """What is to be done about a part; what cannot matter now is not looked up."""
        claim = self.held.get(part.key)
        machine = self.day.machine.now()
        if part.at > self.as_of or (claim is not None and claim.state in {"done", "missed"}):
            return answer(part, Standing(claim=claim), as_of=self.as_of, machine=machine, patience=patience)
        mine = claim is None or claim.by == by
        run = self._run(claim) if claim is not None and claim.state == "asked" and mine else "unseen"
        standing = Standing(self._is_done(part), claim, run, mine, self._before(part))
        return answer(part, standing, as_of=self.as_of, machine=machine, patience=patience)

    def take(self, ask: Ask, claims: "Claims") -> Sequence[Asked]:
        """The claim, or nothing where somebody else was faster.

        A ledger that is locked costs a slot its claim and not its run: the run's key is the same, and the ledger's index on the
        slot stands behind it. Every other part waits.
        """
        before, machine = self.held.get(ask.part.key), self.day.machine.now()
        try:
            claim = claims.take(ask, before, machine=machine)
        except TransientFailure as refused:
            if ask.part.name != "slot":
                raise
            _LOG.warning("slot %s is asked for without a claim: %s", ask.part.label, refused)
            claim = claims.next(ask, before, machine=machine)
        return [Asked(ask.part, claim, self._span(ask.part))] if claim else []

    def record(self, answers: Sequence[Answer], claims: "Claims") -> tuple[str, ...]:
        """Writes down what ended and what was missed."""
        machine = self.day.machine.now()
        for one in answers:
            if isinstance(one, Settle):
                claims.settle(one, self.held.get(one.part.key), machine=machine)
        missed = [one for one in answers if isinstance(one, Missed)]
        return claims.miss(missed, self.held, as_of=self.as_of, machine=machine)

    # What proves a part

    def _is_done(self, part: Part) -> bool:
        match part.name:
            case "facts":
                return not facts_problem(self.day.desk, XNYS.previous(part.session.day))
            case "opinions":
                return is_briefed(self.day.desk, part.session)
            case "slot":
                return part.label in self._decided(part.session.day)
            case "report":
                return (self.day.desk.home().reports / DESK / part.session.key / "report.md").exists()
        return False

    def _before(self, part: Part) -> str:
        match part.name:
            case "facts":
                return self._facts_in_the_making(part)
            case "opinions":
                return facts_problem(self.day.desk, XNYS.previous(part.session.day)) or ""
            case "report":
                return self._report_waits(part)
            case "weekly" | "evolve":
                through = self._closed_through()
                there = through is not None and through >= part.session.day
                return "" if there else f"the post-close of {part.session.day} comes first"
            case "housekeep":
                closed = self._claim("postclose", part.session)
                ended = closed is not None and closed.state in _FINAL
                return "" if ended else f"the post-close of {part.session.day} comes first"
        return ""

    def _facts_in_the_making(self, part: Part) -> str:
        """The post-close that was slept through makes the facts as well, and of every session that lacks them."""
        before = XNYS.previous(part.session.day)
        claim = self._claim("postclose", before)
        if "postclose" not in self.day.outline.names or before not in self.sessions:
            return ""
        ended = claim is not None and claim.state in _FINAL
        return "" if ended else f"the post-close of {before.day} makes them"

    def _report_waits(self, part: Part) -> str:
        claim = self._claim("postclose", part.session)
        if claim is None or claim.state not in _FINAL:
            return "it follows the post-close"
        if self.day.machine.now() < claim.at + REPORT_PATIENCE:
            return "the sensors of the post-close start it"
        return ""

    def _span(self, part: Part) -> Span:
        day = part.session.day
        if part.name == "facts":
            return Span(self._first_without_facts(XNYS.previous(day).day), XNYS.previous(day).day)
        if part.name == "postclose":
            through = self._closed_through()
            first = self.sessions[0].day if through is None else XNYS.next(through).day
            return Span(min(first, day), day)
        return Span(day, day)

    def _first_without_facts(self, last: date) -> date:
        """The first session since the desk's first day whose regimes nobody computed; the wanted one where none is missing."""
        from trading_assets.regimes.model import REGIME_LABELS

        first = min(self.sessions[0].day, last)
        there = self.day.desk.lake().versions(REGIME_LABELS, Span(first, last))
        return next((each.day for each in XNYS.sessions(first, last) if each.day not in there), last)

    def _closed_through(self) -> date | None:
        """The newest session whose post-close ended well."""
        done = (s.day for s in self.sessions if (claim := self._claim("postclose", s)) and claim.state == "done")
        return max(done, default=None)

    def _claim(self, name: PartName, session: Session) -> Claim | None:
        return self.held.get(f"{name}/{session.key}")

    def _decided(self, day: date) -> set[str]:
        with self.day.desk.ledger(DESK).reading() as ledger:
            return {decision.slot for decision in ledger.decisions(day, day)}

    def _run(self, claim: Claim) -> RunState:
        return run_state(self.day.instance, claim)


def outline_of(desk: DeskResource, names: Collection[PartName]) -> Outline:
    """The parts of this desk's day; `names` are those that have a job."""
    decisions, dispatches = desk.settings().decisions, desk.execution().dispatches
    return Outline(XNYS, desk.operations(), decisions, frozenset(names), dispatches=dispatches)


def run_state(instance: "DagsterInstance", claim: Claim) -> RunState:
    """What became of the attempt's run."""
    from dagster import DagsterRunStatus, RunsFilter

    tags = {PART_TAG: claim.key, ATTEMPT_TAG: str(claim.attempt)}
    runs = instance.get_runs(RunsFilter(tags=tags), limit=1)
    if not runs:
        return "unseen"
    if not runs[0].is_finished:
        return "running"
    return "succeeded" if runs[0].status == DagsterRunStatus.SUCCESS else "failed"


def facts_problem(desk: DeskResource, session: Session) -> str | None:
    """Why the facts of a session cannot be decided upon; None when they can."""
    from trading_assets.regimes.model import REGIME_LABELS
    from trading_assets.signatures.gates import FactGate

    span, lake = Span(session.day, session.day), desk.lake()
    if session.day not in lake.versions(REGIME_LABELS, span):
        return f"there are no regime labels of {session.day}"
    return FactGate.load(lake, desk.gates(), span).problem(session.day)


def is_briefed(desk: DeskResource, session: Session) -> bool:
    """Whether the morning's opinions of the desk are there."""
    from trading_assets.theses.model import STANCES

    return session.day in desk.lake().versions(STANCES, Span(session.day, session.day), lane=DESK)


def _in_turn(part: Part) -> tuple[datetime, int]:
    from trading_assets.core.day import PART_NAMES

    return part.at, PART_NAMES.index(part.name)


def _why(answers: Sequence[Answer], as_of: datetime) -> str:
    """What is due and waits, and what comes next; on a closed day that it is one."""
    day = as_of.astimezone(NEW_YORK).date()
    waiting = [one for one in answers if isinstance(one, Rest) and not one.over]
    due = [f"{_name(one.part)}: {one.why}" for one in waiting if one.part.at <= as_of]
    later = [f"{_name(one.part)} is {one.why}" for one in waiting if one.part.at > as_of]
    closed = [] if XNYS.is_session(day) else [f"{day} is not a session; the next one is {XNYS.next(day).day}"]
    return "; ".join([*closed, *due[:_SHOWN], *later[:1]]) or f"every part of {day} is done"


def _name(part: Part) -> str:
    return f"{part.name} {part.label}".strip()
