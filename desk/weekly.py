"""`desk weekly`: the weekly desk's portfolio of a run day, made where it is missing, and what the portfolios brought so far."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

import typer

from desk.output import finish, say, show, table
from desk.runner import prepare_home, run_job
from resources.desk import DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.weekly.model import TOTAL, WEEKLY_PORTFOLIO, WEEKLY_SCREEN

if TYPE_CHECKING:
    from trading_assets.weekly.portfolio import Plan
    from trading_assets.weekly.reporting import Report

JOB = "weekly"


def run_weekly(session: date | None, *, as_json: bool) -> None:
    """Shows the portfolio of a run day, and makes it first where there is none.

    Args:
        session: A run day; the newest that has closed by default.
        as_json: One JSON object on stdout instead of tables.

    Raises:
        PermanentFailure: The day is no run day.
        DataNotReady: The run day has not closed.
    """
    from trading_assets.weekly.assets import plan_of
    from trading_assets.weekly.reporting import report_of

    prepare_home()
    desk = DeskResource()
    now, plan = desk.clock().now(), plan_of(desk)
    day = _run_day(plan, session, XNYS.last_closed(now).day)
    lake, as_of = desk.lake(), XNYS.session(day).close
    if lake.read(WEEKLY_PORTFOLIO, as_of=as_of, first=day, last=day).is_empty():
        say(f"the portfolio of {day} is made now")
        finish(run_job(JOB, Span(day, day)))
    told = report_of(lake, day, as_of=as_of)
    shown = _told(told, _walk(desk, day), desk.home().reports / JOB / day.isoformat())
    if as_json:
        typer.echo(json.dumps(shown, default=str))
        return
    _show(told, shown)


def _run_day(plan: "Plan", session: date | None, closed: date) -> date:
    from trading_assets.weekly.runs import next_run, run_before, runs_in

    if not plan.weekly.enabled:
        raise PermanentFailure("the weekly desk is switched off", value=False, hint="weekly.enabled in operations.yaml")
    wanted = session or (closed if runs_in(plan.outline, Span(closed, closed)) else run_before(plan.outline, closed))
    if not XNYS.is_session(wanted) or not runs_in(plan.outline, Span(wanted, wanted)):
        following = next_run(plan.outline, XNYS.previous(wanted).day)
        raise PermanentFailure(
            f"{wanted} is no run day of the weekly desk",
            value=", ".join(plan.weekly.run_days),
            bound=f"every {plan.weekly.every_weeks} weeks",
            hint=f"desk weekly --session {following}",
        )
    if wanted > closed:
        raise DataNotReady(f"{wanted} has not closed yet", value=wanted, bound=closed)
    return wanted


def _walk(desk: DeskResource, day: date) -> Mapping[str, Any]:
    """What following every stored portfolio brought, at twice the paper broker's slippage for spread and fees."""
    from trading_assets.evaluation.weekly_desk import followed

    lake, as_of = desk.lake(), XNYS.session(day).close
    frames = (
        lake.read(t, as_of=as_of, last=day) for t in (WEEKLY_PORTFOLIO, WEEKLY_SCREEN, DAILY_BARS, CORPORATE_ACTIONS)
    )
    portfolios, screens, bars, actions = frames
    cost_bp = 2 * desk.settings().paper.slippage_bp
    return followed(portfolios, screens, bars, actions, last=day, cost_bp=cost_bp).measures()


def _told(told: "Report", walk: Mapping[str, Any], folder: Any) -> dict[str, Any]:
    total = next((row for row in told.rows if row["symbol"] == TOTAL), None)
    names = ("symbol", "action", "weight", "weight_before", "p_loss", "expected_return", "low_90", "high_90", "reason")
    return {
        "session": told.session,
        "valid_until": total["valid_until"] if total else None,
        "capital_fraction": total["capital_fraction"] if total else None,
        "weight": total["weight"] if total else None,
        "portfolio": [{name: row[name] for name in names} for row in told.rows if row["symbol"] != TOTAL],
        "followed": walk,
        "calibration": asdict(told.calibration),
        "report": folder,
    }


def _show(told: "Report", shown: Mapping[str, Any]) -> None:
    heads = ("symbol", "action", "weight", "before", "p(loss)", "expected", "why")
    columns = ("weight", "weight_before", "p_loss", "expected_return")
    ordered: Sequence[Mapping[str, Any]] = sorted(
        told.rows, key=lambda r: (r["symbol"] != TOTAL, -r["weight"], r["symbol"])
    )
    rows = [[r["symbol"], r["action"], *(_percent(r[name]) for name in columns), r["reason"]] for r in ordered]
    table(f"Weekly desk after {told.session}", heads, rows)
    show({name: _words(shown[name]) for name in ("valid_until", "capital_fraction", "report")}, as_json=False)
    walk = {f"followed {name}": _words(value) for name, value in shown["followed"].items()}
    show({**walk, **{name: _words(value) for name, value in shown["calibration"].items()}}, as_json=False)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _words(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "none" if value is None else str(value)
