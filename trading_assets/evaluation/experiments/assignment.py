"""Which session belongs to which arm: known to every process in advance, balanced, and chosen by nobody.

Sessions are taken in blocks that hold each arm equally often. Within a block they are ranked by the sha256 of seed, experiment and
session, and dealt out in that order. The seed is the hash of the journal at the moment when the design was stored, so that a draft
cannot be written towards a wanted assignment; a second attempt is a second experiment, on record beside the first.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from trading_assets.core.calendar import Calendar
from trading_assets.core.parameters import Arm
from trading_assets.evaluation.experiments.model import PER_BLOCK, TIME_FACTOR, Design, Registered


def sessions_of(design: Design, calendar: Calendar) -> tuple[date, ...]:
    """All sessions that are set aside, as far as the calendar knows them."""
    wanted = TIME_FACTOR * design.draft.look_sizes[-1] * len(design.draft.names)
    begun = bisect_left(calendar.days, design.first)
    return calendar.days[begun : begun + wanted]


def blocks_of(design: Design, calendar: Calendar) -> Iterator[tuple[date, ...]]:
    """The sessions in blocks of assignment; the last may be cut short by the calendar."""
    days, size = sessions_of(design, calendar), PER_BLOCK * len(design.draft.names)
    return (days[begun : begun + size] for begun in range(0, len(days), size))


def assignment(design: Design, calendar: Calendar) -> Mapping[date, str]:
    """The arm of each session, in the order of the sessions."""
    dealt = {day: arm for block in blocks_of(design, calendar) for day, arm in _dealt(design, block).items()}
    return {day: dealt[day] for day in sorted(dealt)}


def arms_of(registered: Sequence[Registered], calendar: Calendar) -> tuple[Arm, ...]:
    """All arms, control among them, with the sessions that each has or had; an ended experiment has none after its end."""
    return tuple(arm for each in registered for arm in _arms(each, calendar))


def _arms(registered: Registered, calendar: Calendar) -> Iterator[Arm]:
    design, ended = registered.design, registered.ended
    dealt = assignment(design, calendar)
    kept = {day: arm for day, arm in dealt.items() if ended is None or day <= ended.session}
    for name in design.draft.names:
        days = frozenset(day for day, arm in kept.items() if arm == name)
        yield Arm(design.id, name, dict(design.draft.arms.get(name, {})), days)


def _dealt(design: Design, block: Sequence[date]) -> dict[date, str]:
    ranked = sorted(block, key=lambda day: (_rank(design, day), day))
    return {day: design.draft.names[place // PER_BLOCK] for place, day in enumerate(ranked)}


def _rank(design: Design, day: date) -> str:
    return hashlib.sha256(f"{design.seed}|{design.id}|{day.isoformat()}".encode()).hexdigest()
