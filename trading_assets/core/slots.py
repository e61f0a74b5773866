"""Decision times within a session, and which of them is due.

A slot exists only while the session is open: slots at or after an early close are not made. A slot is due from its time
until its grace ends or the next slot begins, whichever is first; after that it is stale and can never run again.

Between the scheduled slots an event makes one of its own: its label has seconds ("10:03:13"), so it never stands in the place of
a scheduled one ("10:03"), and the same event has the same label in every process. Labels sort by time, the scheduled one first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from trading_assets.core.calendar import NEW_YORK, Calendar, Session


@dataclass(frozen=True, slots=True)
class Slot:
    """One decision time: its session, its label ("09:30", New York) and its UTC instant.

    `cause` names the event that made a slot between the scheduled ones, where the desk only reduces; empty for a scheduled slot.
    """

    session: Session
    label: str
    at: datetime
    cause: str = ""

    @property
    def is_first(self) -> bool:
        """True for the slot at the open, where swing strategies act."""
        return self.at == self.session.open and not self.cause


@dataclass(frozen=True, slots=True)
class NoSlot:
    """Why nothing is due now; shown by the sensor and by `desk decide`."""

    reason: str


def slots_of(session: Session, labels: Sequence[str]) -> tuple[Slot, ...]:
    """The slots of a session in time order; labels outside its open hours are left out."""
    slots = (_slot(session, label) for label in labels)
    return tuple(sorted((s for s in slots if session.open <= s.at < session.close), key=lambda s: s.at))


def due_slot(calendar: Calendar, labels: Sequence[str], *, as_of: datetime, grace: timedelta) -> Slot | NoSlot:
    """The slot that may run at `as_of`, or the reason why there is none."""
    session = calendar.today(as_of)
    here = as_of.astimezone(NEW_YORK)
    if session is None:
        return NoSlot(f"{here:%Y-%m-%d} is not a session; the next one is {calendar.next(here.date()).day}")
    started = [slot for slot in slots_of(session, labels) if slot.at <= as_of]
    if as_of >= session.close:
        return NoSlot(f"the session of {session.day} closed at {session.close.astimezone(NEW_YORK):%H:%M} New York")
    if not started:
        return NoSlot(f"no slot of {session.day} has begun at {here:%H:%M:%S} New York")
    newest = started[-1]
    if as_of >= newest.at + grace:
        ended = (newest.at + grace).astimezone(NEW_YORK)
        return NoSlot(f"slot {newest.label} of {session.day} ended at {ended:%H:%M:%S} New York; it never runs late")
    return newest


def slot_between(session: Session, event_at: datetime, cause: str) -> Slot:
    """The slot of an event: its instant rounded up to the second, so that what the event tells of is known by then."""
    at = event_at.astimezone(UTC)
    if at.microsecond:
        at = at.replace(microsecond=0) + timedelta(seconds=1)
    return Slot(session, f"{at.astimezone(NEW_YORK):%H:%M:%S}", at, cause)


def is_between(label: str) -> bool:
    """Whether a label is that of an event's slot."""
    return len(label) == len("HH:MM:SS")


def _slot(session: Session, label: str) -> Slot:
    local = datetime.combine(session.day, time.fromisoformat(label), NEW_YORK)
    return Slot(session, label, local.astimezone(UTC))
