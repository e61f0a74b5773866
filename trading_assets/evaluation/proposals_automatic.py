"""Which open proposals a paper desk applies without being asked."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date

from trading_assets.core.calendar import XNYS
from trading_assets.core.parameters import SWITCHED_OFF, Parameters
from trading_assets.evaluation.proposals_counted import admissible
from trading_assets.evaluation.suggestions import Moved, Proposed


def applied_unasked(
    proposals: Sequence[Proposed],
    moved: Sequence[Moved],
    now: Parameters,
    *,
    under_test: Collection[str],
    on: date,
    start: date,
    days_open: int,
) -> tuple[Proposed, ...]:
    """The open proposals to apply, oldest first: one for each parameter, none that moved within `days_open` sessions.

    A parameter that an experiment is trying is left alone, and so is a proposal that starts from a value that is no longer in
    force, or that cannot stand beside the others.

    Args:
        now: What is in force on the session `start`, from which a change would count.
        under_test: Parameters that running experiments move.
        on: The session of the look.
    """
    recent = XNYS.previous(start, days_open).day
    resting = {each.name for each in moved if each.from_session > recent} | {*under_test, SWITCHED_OFF}
    return tuple(_chosen([each for each in proposals if each.state(on) == "open"], resting, now))


def _chosen(open_now: Sequence[Proposed], resting: Collection[str], now: Parameters) -> Iterator[Proposed]:
    taken = set(resting)
    for each in sorted(open_now, key=lambda each: (each.session, each.at, each.id)):
        if each.name in taken or each.before != getattr(now, each.name):
            continue
        if admissible(now, {each.name: each.after}):
            taken.add(each.name)
            now = now.with_values({each.name: each.after})
            yield each
