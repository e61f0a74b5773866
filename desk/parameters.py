"""`desk parameters`: what is in force and since when, by whom and why; and the way back."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from desk.approve import OPERATOR, today_of
from desk.output import say, show, table
from desk.runner import prepare_home
from resources.desk import DESK, DeskResource
from resources.ledger.proposals import NAMES
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.parameters import effective_from
from trading_assets.evaluation.suggestions import (
    Moved,
    ParameterLine,
    parameter_lines,
    shown,
)


def run_parameters(*, history: str, rollback: str, to: date | None, reason: str, as_json: bool) -> None:
    """Shows what is in force, the history of one parameter, or goes back to earlier values."""
    prepare_home()
    desk = DeskResource()
    if history and (rollback or to):
        raise PermanentFailure(
            "show a history or go back, not both", value=history, hint="desk parameters --history NAME"
        )
    if rollback or to:
        done = desk.proposals().roll_back(name=rollback, to=to, who=OPERATOR, reason=reason, as_of=desk.clock().now())
        show({"rolled_back": [_moved(each) for each in done]}, as_json=as_json)
    elif history:
        _show_history(desk.proposals().moved(), history, as_json=as_json)
    else:
        _show_in_force(desk, as_json=as_json)


def _show_in_force(desk: DeskResource, *, as_json: bool) -> None:
    """The values of the next session that a decision can still be made on: today's while it trades, else the next one's."""
    now, tuned = desk.clock().now(), desk.tuned(DESK)
    moved, today, start = desk.proposals().moved(), today_of(desk), effective_from(now)
    lines, coming = parameter_lines(tuned, moved, on=today), parameter_lines(tuned, moved, on=start)
    if as_json:
        show(
            {
                "session": today,
                "parameters": [_line(each) for each in lines],
                "from": start,
                "then": _coming(lines, coming),
            },
            as_json=True,
        )
        return
    columns = ("parameter", "value", "configured", "bounds", "unit", "since", "by", "why")
    rows = [
        (
            e.name,
            e.value,
            e.configured,
            e.bounds,
            e.unit,
            f"{e.since or ''}",
            e.who,
            "; ".join([e.why[:80], *e.arms]).strip("; "),
        )
        for e in lines
    ]
    table(f"parameters on {today}", columns, rows)
    for name, value in _coming(lines, coming).items():
        say(f"from {start} on: {name} {value}")


def _show_history(moved: Sequence[Moved], name: str, *, as_json: bool) -> None:
    if name not in NAMES:
        raise PermanentFailure("there is no such parameter", value=name, bound=", ".join(NAMES))
    mine = [each for each in moved if each.name == name]
    if as_json:
        show({"parameter": name, "changes": [_moved(each) for each in mine]}, as_json=True)
        return
    if not mine:
        say(f"{name} never moved")
        return
    rows = [(f"{e.from_session}", shown(e.before), shown(e.after), e.origin, e.reason[:100]) for e in mine]
    table(f"history of {name}", ("from session", "before", "after", "by", "why"), rows)


def _coming(lines: Sequence[ParameterLine], coming: Sequence[ParameterLine]) -> dict[str, str]:
    return {then.name: then.value for now, then in zip(lines, coming, strict=True) if now.value != then.value}


def _line(each: ParameterLine) -> dict[str, Any]:
    return {name: getattr(each, name) for name in ParameterLine.__slots__}


def _moved(each: Moved) -> dict[str, Any]:
    return {name: getattr(each, name) for name in Moved.__slots__}
