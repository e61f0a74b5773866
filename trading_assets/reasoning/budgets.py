"""Which pockets a model call is paid from.

A decision's and a day's on the desk; a decision's and a backfill's for questions about the past. The names follow from lane,
decision, day and backfill alone, so what a pocket has spent can be added up again from the calls themselves.
"""

import re
from datetime import date
from decimal import Decimal

from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.model import Budget, Pocket
from trading_assets.reasoning.settings import BudgetSettings

DESK_LANE = "desk"
BACKFILL_LANE = "backtest"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DECISION = re.compile(r"[^\s@\x00-\x1f\x7f]{1,200}")


def desk_budget(settings: BudgetSettings, *, decision: str, day: date) -> Budget:
    """What a decision of the desk may spend on a New York day."""
    of_decision, of_day = pocket_names(lane=DESK_LANE, decision=decision, day=day, backfill="")
    pockets = (_decision_pocket(of_decision, settings), Pocket(of_day, _usd(settings.day_usd)))
    return Budget(DESK_LANE, decision, day, pockets)


def backfill_budget(settings: BudgetSettings, *, decision: str, day: date, backfill: str) -> Budget:
    """What a decision of the past may spend in the named backfill; `day` is the New York day on which the money is spent.

    The day's pocket stays untouched: a backfill must not leave the desk without models.
    """
    if not backfill:
        raise PermanentFailure("a backfill needs a name that its money is booked under", hint="name it after its run")
    of_decision, of_backfill = pocket_names(lane=BACKFILL_LANE, decision=decision, day=day, backfill=backfill)
    pockets = (_decision_pocket(of_decision, settings), Pocket(of_backfill, _usd(settings.backfill_usd)))
    return Budget(BACKFILL_LANE, decision, day, pockets, backfill)


def pocket_names(*, lane: str, decision: str, day: date, backfill: str) -> tuple[str, str]:
    """The two pockets that such a call is paid from; each backfill has pockets of its own for the decisions that it asks about.

    Raises:
        PermanentFailure: a name that could be taken for another one.
    """
    _plain("decision", decision, _DECISION)
    _plain("lane", lane, _NAME)
    if not backfill:
        return f"decision:{decision}", f"day:{lane}:{day.isoformat()}"
    _plain("backfill", backfill, _NAME)
    return f"decision:{decision}@{backfill}", f"backfill:{backfill}"


def _plain(what: str, name: str, allowed: re.Pattern[str]) -> None:
    if not allowed.fullmatch(name):
        raise PermanentFailure(
            f"the {what} that pays for model calls needs a plain name", value=repr(name), bound=allowed.pattern
        )


def _decision_pocket(name: str, settings: BudgetSettings) -> Pocket:
    return Pocket(name, _usd(settings.decision_usd), settings.calls_per_decision_max)


def _usd(dollars: float) -> Decimal:
    return Decimal(str(dollars))
