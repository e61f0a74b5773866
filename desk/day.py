"""`desk run`: a part of the trading day by hand, exactly as its schedule would start it."""

from collections.abc import Callable, Mapping
from datetime import date

from desk.output import finish, show
from desk.runner import Outcome, run_job
from resources.clock import RealClock
from resources.desk import DESK, DeskResource
from trading_assets.catalog import key_of
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.day import PART_NAMES, PartName
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.jobs import DOCUMENTS, FACTS, PART_JOBS, POSTCLOSE, PREMARKET, REPORT
from trading_assets.theses.model import OPINIONS

# Slots and looks are decided by desk decide, which refuses what is not due; a review is of its hour alone.
BY_HAND: tuple[PartName, ...] = tuple(n for n in PART_NAMES if n in PART_JOBS and n not in {"slot", "look", "review"})
PARTS = (PREMARKET, *BY_HAND)


def run_part(part: str, day: date | None, *, as_json: bool) -> None:
    """Runs a part of a session's day; premarket is facts and opinions, postclose is followed by the report.

    What ended well counts as done, so that neither schedule nor sensor asks for it again.
    """
    if part not in PARTS:
        raise PermanentFailure("there is no such part of the day", value=part, bound=", ".join(PARTS))
    session = XNYS.session(day or DeskResource().clock().now().astimezone(NEW_YORK).date())
    special: Mapping[str, Callable[[Session], None]] = {
        PREMARKET: _premarket,
        "facts": _facts,
        "opinions": _opinions,
        POSTCLOSE: _postclose,
    }
    if part in special:
        special[part](session)
    else:
        _any(next(name for name in BY_HAND if name == part), session)
    show({"part": part, "session": session.day, "home": DeskResource().home().root}, as_json=as_json)


def _premarket(session: Session) -> None:
    _facts(session)
    _opinions(session)


def _facts(session: Session) -> None:
    before = XNYS.previous(session.day).day
    finish(run_job(PREMARKET, Span(before, before), selection=FACTS, label="facts"))


def _opinions(session: Session) -> None:
    opinions = [key_of(table, DESK) for table in OPINIONS]
    finish(run_job(PREMARKET, _one(session), selection=[*DOCUMENTS, *opinions], label="opinions"))


def _postclose(session: Session) -> None:
    day = run_job(POSTCLOSE, _one(session))
    report = run_job(REPORT, _one(session))
    _note(POSTCLOSE, session, day)
    _note(REPORT, session, report)
    finish(report)
    finish(day)


def _any(name: PartName, session: Session) -> None:
    ended = run_job(PART_JOBS[name], _one(session))
    _note(name, session, ended)
    finish(ended)


def _note(name: str, session: Session, ended: Outcome) -> None:
    """Says in the ledger that the part is done."""
    from resources.day.claims import Claims

    if ended.success:
        claims = Claims(DeskResource().engine(DESK), DESK, "by hand")
        claims.done_by_hand(f"{name}/{session.key}", machine=RealClock().now())


def _one(session: Session) -> Span:
    return Span(session.day, session.day)
