"""The one Definitions object of the desk."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from resources.desk import DESK, LANES, DeskResource  # noqa: E402 - after the filters: partitioned checks warn
from schedules.day import SCHEDULES  # noqa: E402
from sensors.day import day_parts  # noqa: E402
from sensors.events import bus_events  # noqa: E402
from sensors.reports import report_after_failure, report_after_success  # noqa: E402
from sensors.runs import failed_runs, hanging_runs  # noqa: E402
from sensors.slots import decision_slots  # noqa: E402
from sensors.watch import fresh_facts, open_halts, position_drift  # noqa: E402
from trading_assets.catalog import presented  # noqa: E402
from trading_assets.evaluation.assets import evaluation_assets  # noqa: E402
from trading_assets.evaluation.benchmarks.assets import benchmark_assets  # noqa: E402
from trading_assets.evaluation.experiments.assets import experiment_assets  # noqa: E402
from trading_assets.evaluation.learning.assets import learning_assets  # noqa: E402
from trading_assets.execution.adaptor.assets import review_assets  # noqa: E402
from trading_assets.execution.assets import backtest_cycle, booked_assets, desk_cycle, flatness_assets  # noqa: E402
from trading_assets.features import assets as features  # noqa: E402
from trading_assets.features import checks as feature_checks  # noqa: E402
from trading_assets.jobs import JOBS  # noqa: E402
from trading_assets.market import assets as market  # noqa: E402
from trading_assets.market import checks as market_checks  # noqa: E402
from trading_assets.market.documents import assets as documents  # noqa: E402
from trading_assets.market.documents import checks as document_checks  # noqa: E402
from trading_assets.market.universe import assets as universe  # noqa: E402
from trading_assets.market.universe import checks as universe_checks  # noqa: E402
from trading_assets.regimes import assets as regimes  # noqa: E402
from trading_assets.regimes import checks as regime_checks  # noqa: E402
from trading_assets.theses.assets import opinion_assets  # noqa: E402
from trading_assets.watchlist import assets as watchlist  # noqa: E402
from trading_assets.watchlist import checks as watchlist_checks  # noqa: E402
from trading_assets.weekly import assets as weekly  # noqa: E402
from trading_assets.weekly import checks as weekly_checks  # noqa: E402

_FACTS = [market, documents, universe, features, regimes, watchlist, weekly]
_CHECKS = [
    market_checks,
    document_checks,
    universe_checks,
    feature_checks,
    regime_checks,
    watchlist_checks,
    weekly_checks,
]
_per_lane = [
    asset
    for lane in LANES
    for asset in (
        *(*opinion_assets(lane), *booked_assets(lane), *flatness_assets(lane)),
        *(*evaluation_assets(lane), *benchmark_assets(lane)),
    )
]
_desk = [*review_assets(), *learning_assets(), *experiment_assets(DESK)]

defs = dg.Definitions(
    assets=[*dg.load_assets_from_modules(_FACTS), *_per_lane, *backtest_cycle(), *desk_cycle(), *_desk],
    asset_checks=dg.load_asset_checks_from_modules(_CHECKS),
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=[
        *(decision_slots, day_parts, bus_events),
        *(report_after_success, report_after_failure),
        *(failed_runs, hanging_runs, open_halts, position_drift, fresh_facts),
    ],
    resources={"desk": DeskResource()},
).map_asset_specs(func=presented)
