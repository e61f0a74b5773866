"""The reports as assets: each session has its own, and the week's appears on the session that ends it."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from resources.desk import DeskResource
from resources.lake import ParquetLake
from tests.evaluation.books import day, tiny
from trading_assets.core.ports import Span
from trading_assets.evaluation.reporting.assets import REPORT, WEEK, report_assets
from trading_assets.execution.model import ACCOUNT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with five settled sessions of a backtest."""
    monkeypatch.setenv("DESK_HOME", str(tmp_path))
    monkeypatch.delenv("DESK_CLOCK", raising=False)
    ParquetLake(tmp_path / "lake").write(ACCOUNT, tiny().account, Span(day(1), day(5)), lane="backtest")
    return tmp_path


def made(session: date) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        report_assets("backtest", []), partition_key=session.isoformat(), resources={"desk": DeskResource()}
    )


def test_the_week_is_made_on_its_last_session_only(home: Path) -> None:
    """The fourth session of the tests is Friday, 2024-01-05."""
    reports = home / "reports" / "backtest"
    for number, names in ((3, {str(day(3))}), (4, {str(day(3)), str(day(4)), "2024-W01"})):
        result = made(day(number))
        assert result.success
        assert {path.name for path in reports.iterdir()} == names
    (event,) = result.asset_materializations_for_node(f"backtest_{WEEK}")
    assert {"markdown", "json", "html"} <= event.metadata.keys()
    (event,) = result.asset_materializations_for_node(f"backtest_{REPORT}")
    assert {"report", "markdown", "json", "html", "equity_usd"} <= event.metadata.keys()
