"""The one Dagster resource that assets, sensors and schedules reach the outside world through.

Everything heavy is opened when it is asked for: loading the code location imports no data library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from resources.clock import desk_clock
from trading_assets.core.ports import Clock
from trading_assets.core.preferences import load_preferences
from trading_assets.core.settings import Home, Settings, config_folder, desk_home, load_settings
from trading_assets.market.universe.listings import check_lives

if TYPE_CHECKING:
    from dagster_duckdb import DuckDBResource
    from sqlalchemy import Engine

    from resources.lake import ParquetLake
    from resources.ledger.store import SqlGateBook, SqlLedger
    from trading_assets.execution.rules import Rules
    from trading_assets.market.ports import MarketData

DESK = "desk"
BACKTEST = "backtest"
LANES = (DESK, BACKTEST)


class DeskResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings, clock, lake, ledger and market data of the desk in `DESK_HOME`."""

    def home(self) -> Home:
        """Where the desk keeps its state."""
        return desk_home()

    def settings(self) -> Settings:
        """`config/settings.yaml`; two instruments that own one ticker at once stop whoever reads it."""
        settings = load_settings(config_folder())
        check_lives(settings.market.instruments)
        return settings

    def clock(self) -> Clock:
        """The clock of the desk lane."""
        return desk_clock()

    def lake(self) -> ParquetLake:
        """Facts and results."""
        from resources.lake import ParquetLake

        return ParquetLake(self.home().lake)

    def gates(self) -> SqlGateBook:
        """Quality verdicts; facts have no lane, so they are kept in the desk's ledger."""
        from resources.ledger.store import SqlGateBook

        return SqlGateBook(self.engine(DESK))

    def ledger(self, lane: str) -> SqlLedger:
        """The ledger of a lane."""
        from resources.ledger.store import SqlLedger

        return SqlLedger(self.engine(lane), lane)

    def rules(self, lane: str) -> Rules:
        """Settings and limits that stay fixed for a run of the lane."""
        from trading_assets.execution.rules import Rules

        preferences, limits_hash = load_preferences(config_folder() / "preferences.yaml")
        return Rules(lane, self.settings(), preferences, limits_hash)

    def market_data(
        self, provider: str | None = None, files_path: str | None = None, seed: int | None = None
    ) -> MarketData:
        """The provider of the settings with its fallbacks, or the one named without any."""
        from resources.market_data import sources_of

        return sources_of(
            self.settings().market,
            provider=provider,
            files_path=files_path,
            seed=seed,
            as_of=self.clock().now(),
            cache=self.home().root / "cache",
        )

    def warehouse(self, lane: str) -> DuckDBResource:
        """The lane's DuckDB file with the dbt models; one step at a time may open it."""
        from dagster_duckdb import DuckDBResource

        return DuckDBResource(database=str(self.home().warehouse / f"{lane}.duckdb"))

    def engine(self, lane: str) -> Engine:
        """The lane's ledger file; money is synced in full on the desk, a backtest can be walked again."""
        from resources.ledger.engine import open_ledger

        return open_ledger(self.home().ledger(lane), durability="FULL" if lane == DESK else "NORMAL")
