"""`desk report`."""

from datetime import date

from desk.output import show
from desk.runner import prepare_home
from resources.desk import DESK, DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ports import Span


def run_report(lane: str, session: date | None, *, as_json: bool) -> None:
    """Makes the report of a session from what is on record, even when the day's other assets failed."""
    from trading_assets.evaluation.making import make_report

    prepare_home()
    desk = DeskResource()
    day = XNYS.session(session).day if session else _newest_settled(desk, lane)
    made = make_report(
        desk.lake(), desk.gates(), desk.ledger(lane), desk.rules(lane), Span(day, day), desk.home().reports
    )
    show({"book": lane, "session": day, "report": made.paths.markdown, "json": made.paths.json}, as_json=as_json)


def _newest_settled(desk: DeskResource, lane: str) -> date:
    with desk.ledger(lane).reading() as ledger:
        close = ledger.latest_close(XNYS.last)
    if close is None:
        hint = "the postclose job settles the day" if lane == DESK else "desk backtest --from D --to D"
        raise DataNotReady(f"book {lane} has no settled session", hint=hint)
    return close.session
