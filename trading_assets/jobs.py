"""The jobs: which assets are made together. Every job runs its steps in one process."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.desk import BACKTEST, DESK
from trading_assets.briefs.model import ANALYST_BRIEFS
from trading_assets.catalog import key_of
from trading_assets.evaluation.assets import MODELS
from trading_assets.evaluation.assets import REPORT as REPORT_ASSET
from trading_assets.evaluation.model import BENCHMARK
from trading_assets.execution.assets import BOOKED, DECIDED
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS
from trading_assets.regimes.model import REGIME_LABELS

INGEST = "ingest"
INGEST_INTRADAY = "ingest_intraday"
PREMARKET = "premarket"
DECIDE = "decide"
POSTCLOSE = "postclose"
REPORT = "report"
BACKTEST_RANGE = "backtest"

FACTS = tuple(key_of(table) for table in (DAILY_BARS, CORPORATE_ACTIONS, INDICATORS, BREADTH, REGIME_LABELS))


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
    decided = [key_of(table, BACKTEST) for table in (ANALYST_BRIEFS, *DECIDED)]
    return [*decided, *_evaluated(BACKTEST), dg.AssetKey([BACKTEST, REPORT_ASSET])]


ingest = _job(INGEST, [key_of(DAILY_BARS), key_of(CORPORATE_ACTIONS)], "Daily bars and corporate actions, gated.")
ingest_intraday = _job(INGEST_INTRADAY, [key_of(INTRADAY_BARS)], "Intraday bars, gated.")
premarket = _job(PREMARKET, [*FACTS, key_of(ANALYST_BRIEFS, DESK)], "Facts that are missing, then the day's briefs.")
decide = _job(DECIDE, [key_of(table, DESK) for table in DECIDED], "The decision slot that is due.")
postclose = _job(POSTCLOSE, [*FACTS, *_evaluated(DESK)], "The day's facts, fills and metrics.")
report = _job(REPORT, [dg.AssetKey([DESK, REPORT_ASSET])], "The improvement report, whatever else went wrong.")
backtest = _job(BACKTEST_RANGE, [*FACTS, *_walked()], "Everything from bars to the report over a range.")

JOBS = (ingest, ingest_intraday, premarket, decide, postclose, report, backtest)
