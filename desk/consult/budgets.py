"""What one question of a person may spend: the same two pockets as a decision of the desk, under a name of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from resources.clock import RealClock
from resources.desk import DESK, DeskResource
from trading_assets.core.calendar import NEW_YORK
from trading_assets.reasoning.budgets import DESK_LANE, desk_budget, pocket_names
from trading_assets.reasoning.model import Budget

_AT_ONCE = 50
Name = Callable[[int], str]


def next_budget(desk: DeskResource, what: str) -> Budget:
    """The budget `desk/<day>/<what>-<n>` with the first number that nobody has paid from on the machine's New York day.

    Two that ask at once may get the same number and then share one cap. Rules pay for nothing: their number is 1.
    """
    settings, day = desk.reasoning(), RealClock().now().astimezone(NEW_YORK).date()
    number = 1 if settings.mode == "rules" else _unused(desk, lambda at: f"{DESK_LANE}/{day}/{what}-{at}", day)
    return desk_budget(settings.budget, decision=f"{DESK_LANE}/{day}/{what}-{number}", day=day)


def _unused(desk: DeskResource, name: Name, day: date) -> int:
    from resources.ledger.costs import pockets
    from resources.ledger.engine import reading

    first = 1
    with reading(desk.engine(DESK)) as connection:
        while True:
            numbered = {at: _pocket(name(at), day) for at in range(first, first + _AT_ONCE)}
            states = pockets(connection, list(numbered.values()))
            free = [at for at, pocket in numbered.items() if not states[pocket].calls]
            if free:
                return free[0]
            first += _AT_ONCE


def _pocket(decision: str, day: date) -> str:
    return pocket_names(lane=DESK_LANE, decision=decision, day=day, backfill="")[0]
