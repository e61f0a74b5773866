"""`desk costs`: what models cost, what is left, and which routes are left alone."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from desk.output import show, table
from desk.runner import prepare_home
from resources.clock import RealClock
from resources.desk import DESK, DeskResource
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.budgets import DESK_LANE
from trading_assets.reasoning.settings import ReasoningSettings

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from resources.ledger.breakers import BreakerState
    from resources.ledger.spending import Sum

ROWS_SHOWN = 30


def run_costs(day: date | None, first: date | None, last: date | None, by: str, *, as_json: bool) -> None:
    """Shows the calls of a day, or of a range, whichever lane they were made for; without either, of today in New York.

    Model money is spent in real time, so today is the machine's and not that of DESK_CLOCK.
    """
    from resources.ledger.spending import GROUPINGS

    grouping = next((each for each in GROUPINGS if each == by), None)
    if grouping is None:
        raise PermanentFailure("calls are not summed by that", value=by, bound=", ".join(GROUPINGS))
    now = RealClock().now()
    begin, end = _days(day, first, last, now.astimezone(NEW_YORK).date())
    prepare_home()
    desk = DeskResource()
    data, groups = _report(desk.engine(DESK), desk.reasoning(), (begin, end), grouping, now)
    if as_json:
        typer.echo(json.dumps({**data, f"by_{by}": [_group(each) for each in groups]}, default=_plain))
        return
    show(_words(data), as_json=False)
    if groups:
        _table(by, groups)


def _days(day: date | None, first: date | None, last: date | None, today: date) -> tuple[date, date]:
    if day is not None and (first is not None or last is not None):
        raise PermanentFailure("--day and --from or --to exclude each other", hint="desk costs --from D --to D")
    if day is not None:
        return day, day
    begin, end = first or last or today, last or today
    if begin > end:
        raise PermanentFailure("the first day is after the last", value=begin, bound=end)
    return begin, end


def _report(
    engine: "Engine", settings: ReasoningSettings, days: tuple[date, date], by: Any, now: datetime
) -> "tuple[dict[str, Any], list[Sum]]":
    from resources.ledger import spending
    from resources.ledger.breakers import SqlBreakers
    from resources.ledger.engine import reading

    with reading(engine) as connection:
        spent, held = spending.total(connection, *days), spending.reserved(connection)
        newest = spending.newest_day(connection)
        groups = spending.sums(connection, *days, by)
        data: dict[str, Any] = {
            "days": days[0].isoformat() if days[0] == days[1] else f"{days[0]} to {days[1]}",
            "calls": spent.calls,
            **_note(spent.calls, newest, settings),
            "spent_usd": spent.cost_usd,
            "subscription_list_price_usd": spent.shadow_usd,
            "reserved_now": {"calls": held.calls, "usd": held.amount_usd},
            "left_usd": _left(connection, settings, days),
            "outcomes": spending.outcomes(connection, *days),
            "tokens": {
                "input": spent.usage.input_tokens,
                "cached": spent.usage.cached_tokens,
                "output": spent.usage.output_tokens,
            },
            "cached_share": round(spent.cached_share, 4),
            "cost_per_decision": _per_decision(connection, days, settings),
        }
    data["replayed"] = _replayed(engine, days)
    data["open_breakers"] = [_breaker(each, now) for each in SqlBreakers(engine).states() if each.state != "closed"]
    return data, groups


def _note(calls: int, newest: date | None, settings: ReasoningSettings) -> dict[str, str]:
    """Why there is nothing to see."""
    if calls:
        return {}
    if newest is None:
        return {"note": f"no model was ever asked; config/reasoning.yaml says mode: {settings.mode}"}
    return {"note": f"no model was asked then; the last call is of {newest}: desk costs --day {newest}"}


def _left(connection: "Connection", settings: ReasoningSettings, days: tuple[date, date]) -> dict[str, Decimal]:
    """What the last day may still spend, and each backfill that spent something."""
    from resources.ledger.costs import pockets
    from resources.ledger.spending import backfills

    caps = {f"day:{DESK_LANE}:{days[1]}": settings.budget.day_usd}
    caps |= {f"backfill:{name}": settings.budget.backfill_usd for name in backfills(connection, *days)}
    states = pockets(connection, list(caps))
    return {
        name: max(Decimal(0), Decimal(str(cap)) - states[name].spent_usd - states[name].reserved_usd)
        for name, cap in caps.items()
    }


def _per_decision(
    connection: "Connection", days: tuple[date, date], settings: ReasoningSettings
) -> dict[str, Any] | str:  # fmt: skip
    from resources.ledger.spending import per_decision

    found = per_decision(connection, *days)
    if found is None:
        return "none"
    return {
        "decisions": found.decisions,
        "mean_usd": found.mean_usd,
        "most_usd": found.most_usd,
        "most_expensive": found.most_expensive,
        "cap_usd": Decimal(str(settings.budget.decision_usd)),
    }


def _replayed(engine: "Engine", days: tuple[date, date]) -> dict[str, int]:
    """Answers that were asked for, and answers that came from the record for nothing."""
    from resources.ledger.records import SqlAgentHealth

    counted = SqlAgentHealth(engine).between(*days)
    return {"asked": sum(each.answers for each in counted), "replayed": sum(each.replays for each in counted)}


def _breaker(state: "BreakerState", now: datetime) -> dict[str, Any]:
    until = state.until
    wait = 0 if until is None else max(0, round((until - now).total_seconds()))
    return {
        "route": state.route,
        "state": state.state,
        "failures": state.failures,
        "next_trial": None if until is None else until.isoformat(timespec="seconds"),
        "in_seconds": wait,
        "reason": state.reason,
    }


def _words(data: Mapping[str, Any]) -> dict[str, Any]:
    """The report as lines for a person."""
    told = dict(data)
    for part in ("reserved_now", "left_usd", "outcomes", "tokens", "cost_per_decision", "replayed"):
        inner = data[part]
        told[part] = (
            {name: _plain(value) for name, value in inner.items()} or "none" if isinstance(inner, dict) else inner
        )
    told["spent_usd"] = _plain(data["spent_usd"])
    told["subscription_list_price_usd"] = _plain(data["subscription_list_price_usd"])
    told["cached_share"] = f"{data['cached_share']:.0%}"
    told["open_breakers"] = [
        f"{each['route']} ({each['reason']}) until {each['next_trial']}, in {each['in_seconds']} s"
        for each in data["open_breakers"]
    ]
    return told


def _group(each: "Sum") -> dict[str, Any]:
    return {
        "name": each.name,
        "calls": each.calls,
        "failed": each.failed,
        "cost_usd": each.cost_usd,
        "subscription_list_price_usd": each.shadow_usd,
        "input_tokens": each.usage.input_tokens,
        "cached_tokens": each.usage.cached_tokens,
        "output_tokens": each.usage.output_tokens,
    }


def _table(by: str, groups: "Sequence[Sum]") -> None:
    listed = any(each.shadow_usd for each in groups)
    columns = [by, "calls", "failed", "USD", *(["list USD"] if listed else []), "tokens in", "cached", "out"]
    rows = [
        [
            each.name,
            str(each.calls),
            str(each.failed),
            str(_plain(each.cost_usd)),
            *([str(_plain(each.shadow_usd))] if listed else []),
            f"{each.usage.input_tokens:,}",
            f"{each.cached_share:.0%}",
            f"{each.usage.output_tokens:,}",
        ]
        for each in groups[:ROWS_SHOWN]
    ]
    more = f" (the first {ROWS_SHOWN} of {len(groups)}; --json has all)" if len(groups) > ROWS_SHOWN else ""
    table(f"Model calls by {by}{more}", columns, rows)


def _plain(value: Any) -> Any:
    """Amounts as text without exponent and needless zeros; anything else as it is, or as its own text in JSON."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value if isinstance(value, int | float | str) else str(value)
