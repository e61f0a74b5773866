"""The jobs: which assets are made together. Every job runs its steps in one process."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.desk import BACKTEST, DESK
from trading_assets.catalog import key_of
from trading_assets.core.tables import Table
from trading_assets.evaluation.assets import MODELS
from trading_assets.evaluation.assets import REPORT as REPORT_ASSET
from trading_assets.evaluation.model import BENCHMARK
from trading_assets.execution.tables import BOOKED, DECIDED
from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS, INTRADAY_FEATURES, LIQUIDITY
from trading_assets.market.documents.model import FILINGS, MACRO_SERIES, NEWS
from trading_assets.market.model import CORPORATE_ACTIONS, CROSS_CHECK_BARS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS
from trading_assets.market.universe.model import UNIVERSE, UNIVERSE_PAIRS
from trading_assets.regimes.model import LIQUIDITY_REGIMES, REGIME_LABELS, REGIME_OPINIONS
from trading_assets.theses.model import OPINIONS
from trading_assets.watchlist.model import WATCHLIST

INGEST = "ingest"
INGEST_INTRADAY = "ingest_intraday"
INGEST_DOCUMENTS = "ingest_documents"
PREMARKET = "premarket"
DECIDE = "decide"
POSTCLOSE = "postclose"
REPORT = "report"
BACKTEST_RANGE = "backtest"

BAR_TABLES = (DAILY_BARS, CORPORATE_ACTIONS, CROSS_CHECK_BARS)
DOCUMENT_TABLES = (NEWS, FILINGS, MACRO_SERIES)
INTRADAY_TABLES = (INTRADAY_BARS, QUOTE_BARS, INTRADAY_FEATURES)
FACT_TABLES = (
    *BAR_TABLES,
    *DOCUMENT_TABLES,
    *(INDICATORS, BREADTH, LIQUIDITY, CORRELATIONS),
    *(REGIME_LABELS, REGIME_OPINIONS, LIQUIDITY_REGIMES),
    *(UNIVERSE, UNIVERSE_PAIRS, WATCHLIST),
)


def _keys(tables: Sequence[Table]) -> tuple[dg.AssetKey, ...]:
    return tuple(key_of(table) for table in tables)


BARS, DOCUMENTS, INTRADAY, FACTS = map(_keys, (BAR_TABLES, DOCUMENT_TABLES, INTRADAY_TABLES, FACT_TABLES))


def _job(name: str, keys: Sequence[dg.AssetKey], description: str) -> Any:
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        executor_def=dg.in_process_executor,
        description=description,
        tags={"desk/job": name},
    )


def _evaluated(lane: str) -> list[dg.AssetKey]:
    booked = [key_of(table, lane) for table in (*BOOKED, BENCHMARK)]
    return [*booked, *(dg.AssetKey([lane, model.name]) for model in MODELS)]


def _walked() -> list[dg.AssetKey]:
    decided = [key_of(table, BACKTEST) for table in (*OPINIONS, *DECIDED)]
    return [*decided, *_evaluated(BACKTEST), dg.AssetKey([BACKTEST, REPORT_ASSET])]


ingest = _job(INGEST, BARS, "Daily bars and corporate actions, with the second opinion where one is configured, gated.")
ingest_intraday = _job(INGEST_INTRADAY, INTRADAY, "Intraday bars and quotes, gated, and their features.")
ingest_documents = _job(INGEST_DOCUMENTS, DOCUMENTS, "News, filings and macro series, gated.")
premarket = _job(
    PREMARKET,
    [*FACTS, *(key_of(table, DESK) for table in OPINIONS)],
    "Facts that are missing; then documents, briefs and the debate.",
)
decide = _job(DECIDE, [key_of(table, DESK) for table in DECIDED], "The decision slot that is due.")
postclose = _job(POSTCLOSE, [*FACTS, *_evaluated(DESK)], "The day's facts, fills and metrics.")
report = _job(REPORT, [dg.AssetKey([DESK, REPORT_ASSET])], "The improvement report, whatever else went wrong.")
backtest = _job(BACKTEST_RANGE, [*FACTS, *_walked()], "Everything from bars to the report over a range.")

JOBS = (ingest, ingest_intraday, ingest_documents, premarket, decide, postclose, report, backtest)
