"""The one Definitions object of the desk."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from resources.desk import LANES, DeskResource  # noqa: E402 - after the filters: partitioned checks warn
from schedules.day import postclose_schedule, premarket_schedule  # noqa: E402
from sensors.reports import report_after_failure, report_after_success  # noqa: E402
from sensors.slots import decision_slots  # noqa: E402
from trading_assets.briefs.assets import brief_assets  # noqa: E402
from trading_assets.evaluation.assets import evaluation_assets  # noqa: E402
from trading_assets.execution.assets import backtest_cycle, booked_assets, desk_cycle  # noqa: E402
from trading_assets.features import assets as features  # noqa: E402
from trading_assets.features import checks as feature_checks  # noqa: E402
from trading_assets.jobs import JOBS  # noqa: E402
from trading_assets.market import assets as market  # noqa: E402
from trading_assets.market import checks as market_checks  # noqa: E402
from trading_assets.regimes import assets as regimes  # noqa: E402

_per_lane = [asset for lane in LANES for asset in (*brief_assets(lane), *booked_assets(lane), *evaluation_assets(lane))]

defs = dg.Definitions(
    assets=[*dg.load_assets_from_modules([market, features, regimes]), *_per_lane, *backtest_cycle(), *desk_cycle()],
    asset_checks=dg.load_asset_checks_from_modules([market_checks, feature_checks]),
    jobs=JOBS,
    schedules=[premarket_schedule, postclose_schedule],
    sensors=[decision_slots, report_after_success, report_after_failure],
    resources={"desk": DeskResource()},
)
