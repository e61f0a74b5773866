"""`desk ingest` and `desk documents`."""

from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from desk.output import finish, show
from desk.runner import run_job
from resources.desk import DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.jobs import INGEST, INGEST_DOCUMENTS, INGEST_INTRADAY

SIMULATED = "simulated"
SIMULATED_SYMBOLS = 20


def run_ingest(
    provider: str | None,
    symbols: str,
    first: date | None,
    last: date | None,
    path: Path | None,
    frequency: str,
    *,
    seed: int | None = None,
    as_json: bool,
) -> None:
    """Fetches the sessions from `first` to `last`; without them, the newest session that has closed."""
    span = _span(first, last)
    named = [symbol.strip() for symbol in symbols.split(",") if symbol.strip()]
    asked: dict[str, Any] = {"symbols": named or _symbols_of(provider, seed, span)}
    if provider:
        asked["provider"] = provider
    if path:
        asked["files_path"] = str(path.resolve())
    if seed is not None:
        asked["seed"] = seed
    outcome = run_job(INGEST if frequency == "1d" else INGEST_INTRADAY, span, config=_config(asked, frequency))
    finish(outcome)
    show({"job": outcome.job, "first": span.first, "last": span.last, "run": outcome.run_id}, as_json=as_json)


def run_documents(first: date | None, last: date | None, *, as_json: bool) -> None:
    """Fetches the documents that became knowable in the sessions from `first` to `last`; without them, in the newest closed one."""
    span = _span(first, last)
    outcome = run_job(INGEST_DOCUMENTS, span)
    finish(outcome)
    show({"job": outcome.job, "first": span.first, "last": span.last, "run": outcome.run_id}, as_json=as_json)


def _span(first: date | None, last: date | None) -> Span:
    last = last or XNYS.last_closed(DeskResource().clock().now()).day
    return sessions_between(first or last, last)


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
    """One entry for each asset of the job that can be told what to fetch; the second source is always that of the settings."""
    if frequency == "1d":
        second = {"symbols": asked.get("symbols", [])}
        return {
            "daily_bars": {"config": asked},
            "corporate_actions": {"config": asked},
            "cross_check_bars": {"config": second},
        }
    return {"intraday_bars": {"config": {**asked, "frequency": frequency}}, "quote_bars": {"config": asked}}


def _symbols_of(provider: str | None, seed: int | None, span: Span) -> list[str]:
    """Nothing means those of the settings; the simulated market knows none of them, so its first ones of the time are taken."""
    if provider != SIMULATED:
        return []
    from resources.market_data.simulated import SimulatedMarketData

    market = SimulatedMarketData(DeskResource().settings().market.simulated_seed if seed is None else seed)
    alive = (
        name
        for name in market.symbols()
        if market.life(name).first <= span.first and span.last <= market.life(name).last
    )
    return list(islice(alive, SIMULATED_SYMBOLS))
