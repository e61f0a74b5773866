"""The one Definitions object of the desk."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from resources.desk import LANES, DeskResource  # noqa: E402 - the warnings that follow are known
from trading_assets.briefs.assets import brief_assets  # noqa: E402
from trading_assets.execution.assets import backtest_cycle, booked_assets, desk_cycle  # noqa: E402
from trading_assets.features import assets as features  # noqa: E402
from trading_assets.features import checks as feature_checks  # noqa: E402
from trading_assets.jobs import jobs  # noqa: E402
from trading_assets.market import assets as market  # noqa: E402
from trading_assets.market import checks as market_checks  # noqa: E402
from trading_assets.regimes import assets as regimes  # noqa: E402

lanes = [asset for lane in LANES for asset in (*brief_assets(lane), *booked_assets(lane))]
defs = dg.Definitions(
    assets=[*dg.load_assets_from_modules([market, features, regimes]), *lanes, *backtest_cycle(), *desk_cycle()],
    asset_checks=dg.load_asset_checks_from_modules([market_checks, feature_checks]),
    jobs=[],
    resources={"desk": DeskResource()},
)
