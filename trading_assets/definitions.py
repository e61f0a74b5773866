"""The one Definitions object of the desk."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from resources.desk import LANES, DeskResource  # noqa: E402 - after the filters: partitioned checks warn
from schedules.day import postclose_schedule, premarket_schedule  # noqa: E402
from sensors.reports import report_after_failure, report_after_success  # noqa: E402
from sensors.slots import decision_slots  # noqa: E402
from trading_assets.evaluation.assets import evaluation_assets  # noqa: E402
from trading_assets.execution.assets import backtest_cycle, booked_assets, desk_cycle  # noqa: E402
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

_FACTS = [market, documents, universe, features, regimes, watchlist]
_CHECKS = [market_checks, document_checks, universe_checks, feature_checks, regime_checks, watchlist_checks]
_per_lane = [
    asset for lane in LANES for asset in (*opinion_assets(lane), *booked_assets(lane), *evaluation_assets(lane))
]

defs = dg.Definitions(
    assets=[*dg.load_assets_from_modules(_FACTS), *_per_lane, *backtest_cycle(), *desk_cycle()],
    asset_checks=dg.load_asset_checks_from_modules(_CHECKS),
    jobs=JOBS,
    schedules=[premarket_schedule, postclose_schedule],
    sensors=[decision_slots, report_after_success, report_after_failure],
    resources={"desk": DeskResource()},
)
