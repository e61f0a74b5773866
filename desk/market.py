"""`desk ingest`."""

from datetime import date
from pathlib import Path
from typing import Any

from desk.output import finish, show
from desk.runner import run_job
from resources.desk import DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.jobs import INGEST, INGEST_INTRADAY


def run_ingest(
    provider: str | None,
    symbols: str,
    first: date | None,
    last: date | None,
    path: Path | None,
    frequency: str,
    *,
    as_json: bool,
) -> None:
    """Fetches the sessions from `first` to `last`; without them, the newest session that has closed."""
    newest = XNYS.last_closed(DeskResource().clock().now()).day
    last = last or newest
    span = sessions_between(first or last, last)
    asked: dict[str, Any] = {"symbols": [symbol.strip() for symbol in symbols.split(",") if symbol.strip()]}
    if provider:
        asked["provider"] = provider
    if path:
        asked["files_path"] = str(path.resolve())
    outcome = run_job(INGEST if frequency == "1d" else INGEST_INTRADAY, span, config=_config(asked, frequency))
    finish(outcome)
    show({"job": outcome.job, "first": span.first, "last": span.last, "run": outcome.run_id}, as_json=as_json)


def sessions_between(first: date, last: date) -> Span:
    """The first and last session of a range of days; a range without a session is refused."""
    if first > last:
        raise PermanentFailure("the range is empty", value=f"{first} to {last}", hint="--from must not be after --to")
    sessions = XNYS.sessions(first, last)
    if not sessions:
        XNYS.session(first)
    return Span(sessions[0].day, sessions[-1].day)


def ingest_config(provider: str) -> dict[str, Any]:
    """Run configuration of the daily market assets for one provider."""
    return _config({"provider": provider}, "1d")


def _config(asked: dict[str, Any], frequency: str) -> dict[str, Any]:
    if frequency == "1d":
        return {"daily_bars": {"config": asked}, "corporate_actions": {"config": asked}}
    return {"intraday_bars": {"config": {**asked, "frequency": frequency}}}
