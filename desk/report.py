"""`desk report`."""

import os
import webbrowser
from datetime import date
from typing import TYPE_CHECKING, Any

from desk.output import say, show
from desk.runner import prepare_home
from resources.desk import DESK, DeskResource
from resources.reporting import told_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.ports import Span

if TYPE_CHECKING:
    from trading_assets.evaluation.making import Made


def run_report(
    lane: str,
    session: date | None,
    *,
    as_json: bool,
    week: bool = False,
    pdf: bool = False,
    opens: bool = False,
) -> None:
    """Makes the report of a session, or of the week that it lies in, even when the day's other assets failed.

    Args:
        session: A session, or any day of the week with `week`; None for the newest settled session.
        pdf: Prints it as well, with a browser that is on the machine.
        opens: Shows it in the person's browser.
    """
    prepare_home()
    desk = DeskResource()
    day = _day(desk, lane, session, week=week)
    made = make(desk, lane, day, week=week)
    told: dict[str, Any] = {"book": lane, "week" if week else "session": made.paths.markdown.parent.name}
    told |= {"report": made.paths.markdown, "json": made.paths.json, "html": made.paths.html}
    if pdf:
        from desk.printing import print_pdf

        told["pdf"] = print_pdf(made.paths.html, made.paths.html.with_suffix(".pdf"), os.environ)
    show({**told, "missing": list(made.missing)} if as_json or made.missing else told, as_json=as_json)
    if opens and not webbrowser.open(made.paths.html.resolve().as_uri()):
        say(f"no browser could be opened; the page is {made.paths.html}")


def make(desk: DeskResource, lane: str, day: date, *, week: bool) -> "Made":
    """Writes the report of a session, or of its week up to it."""
    from trading_assets.evaluation.making import make_report

    return make_report(
        desk.lake(),
        desk.gates(),
        desk.ledger(lane),
        desk.rules(lane),
        Span(day, day),
        desk.home().reports,
        told=told_of(desk, lane, on=day),
        week=week,
    )


def _day(desk: DeskResource, lane: str, session: date | None, *, week: bool) -> date:
    """The session that the report closes: with `week`, the last settled one of the week, else its last that has closed."""
    from trading_assets.evaluation.making import settled_week

    if session is None:
        return _newest_settled(desk, lane)
    day = settled_week(desk.lake(), lane, session).last if week else XNYS.session(session).day
    closed = XNYS.last_closed(desk.clock().now())
    if day > closed.day and not week:
        raise PermanentFailure("that session has not closed", value=str(day), bound=f"at most {closed.day}")
    return min(day, closed.day)


def _newest_settled(desk: DeskResource, lane: str) -> date:
    with desk.ledger(lane).reading() as ledger:
        close = ledger.latest_close(XNYS.last)
    if close is None:
        hint = "the postclose job settles the day" if lane == DESK else "desk backtest --from D --to D"
        raise DataNotReady(f"book {lane} has no settled session", hint=hint)
    return close.session
