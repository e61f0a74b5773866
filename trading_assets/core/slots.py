"""Decision times within a session, and which of them is due.

A slot exists only while the session is open: slots at or after an early close are not made. A slot is due from its time
until its grace ends or the next slot begins, whichever is first; after that it is stale and can never run again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from trading_assets.core.calendar import NEW_YORK, Calendar, Session


@dataclass(frozen=True, slots=True)
class Slot:
    """One decision time: its session, its label ("09:30", New York) and its UTC instant."""

    session: Session
    label: str
    at: datetime

    @property
    def is_first(self) -> bool:
        """True for the slot at the open, where swing strategies act."""
        return self.at == self.session.open


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


def _slot(session: Session, label: str) -> Slot:
    local = datetime.combine(session.day, time.fromisoformat(label), NEW_YORK)
    return Slot(session, label, local.astimezone(UTC))
