"""`desk run`: a part of the trading day by hand, exactly as its schedule would start it."""

from datetime import date

from desk.output import finish, show
from desk.runner import run_job
from resources.desk import DESK, DeskResource
from trading_assets.catalog import key_of
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.jobs import DOCUMENTS, FACTS, POSTCLOSE, PREMARKET, REPORT
from trading_assets.theses.model import OPINIONS

PARTS = (PREMARKET, POSTCLOSE)


def run_part(part: str, day: date | None, *, as_json: bool) -> None:
    """Runs pre-market (facts of the session before; documents, opinions) or post-close (facts, fills, metrics; the report)."""
    if part not in PARTS:
        raise PermanentFailure("there is no such part of the day", value=part, bound=" or ".join(PARTS))
    session = XNYS.session(day or DeskResource().clock().now().astimezone(NEW_YORK).date())
    _premarket(session) if part == PREMARKET else _postclose(session)
    show({"part": part, "session": session.day, "home": DeskResource().home().root}, as_json=as_json)


def _premarket(session: Session) -> None:
    before = XNYS.previous(session.day).day
    finish(run_job(PREMARKET, Span(before, before), selection=FACTS, label="facts"))
    opinions = [key_of(table, DESK) for table in OPINIONS]
    finish(run_job(PREMARKET, _one(session), selection=[*DOCUMENTS, *opinions], label="opinions"))


def _postclose(session: Session) -> None:
    day = run_job(POSTCLOSE, _one(session))
    report = run_job(REPORT, _one(session))
    finish(report)
    finish(day)


def _one(session: Session) -> Span:
    return Span(session.day, session.day)
