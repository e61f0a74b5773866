"""Following portfolios beside holding the universe, and `desk weekly` that shows both."""

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from desk.weekly import run_weekly
from resources.desk import DeskResource
from tests.features.frames import bars_of, days_from, splits_of
from tests.watchlist.worlds import CONFIG
from tests.weekly.worlds import made, open_screen, plan, walked
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.evaluation.weekly_desk import Walk, followed
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.weekly.model import TOTAL, WEEKLY_PORTFOLIO, WEEKLY_SCREEN
from trading_assets.weekly.runs import runs_in

DAYS = days_from(6)


def bars(symbol: str, *closes: float) -> pl.DataFrame:
    """Bars that open where they close."""
    price = np.array(closes, dtype=np.float64)
    return bars_of(symbol, DAYS, price, price, price, np.full(len(closes), 1e6))


def portfolio(day: date, action: str = "enter", **weights: float) -> list[dict[str, Any]]:
    shared = {"session": day, "action": action, "capital_fraction": 0.5, "valid_until": day, "horizon_sessions": 5}
    shared |= {"weight_before": 0.0, "weight_wanted": 0.0, "paths": 1, "seed": 1, "reason": "asked for"}
    empty = dict.fromkeys(WEEKLY_PORTFOLIO.polars_schema())
    knowable = {"knowable_at": XNYS.session(day).close}
    named = [{**empty, **shared, **knowable, "symbol": s, "weight": w} for s, w in weights.items()]
    whole = {**empty, **shared, **knowable, "symbol": TOTAL, "action": "total", "weight": sum(weights.values())}
    return [*named, whole]


def screen(*symbols: str) -> pl.DataFrame:
    row = {
        "session": DAYS[0],
        "reference": 1.0,
        "passed": True,
        "reason": "",
        "knowable_at": XNYS.session(DAYS[0]).close,
    }
    empty = dict.fromkeys(WEEKLY_SCREEN.polars_schema())
    return WEEKLY_SCREEN.frame([{**empty, **row, "symbol": symbol} for symbol in symbols])


def follow(rows: list[dict[str, Any]], *frames: pl.DataFrame, cost_bp: float = 0.0, **more: Any) -> Walk:
    actions = more.pop("actions", CORPORATE_ACTIONS.empty())
    symbols = [frame["symbol"][0] for frame in frames]
    return followed(
        WEEKLY_PORTFOLIO.frame(rows), screen(*symbols), pl.concat(frames), actions, last=DAYS[-1], cost_bp=cost_bp
    )


def test_a_portfolio_earns_from_the_open_after_its_run_and_cash_earns_nothing() -> None:
    """AAA doubles after it was bought at 100; half of the money is in it. The leap before the purchase is nobody's."""
    got = follow(portfolio(DAYS[0], AAA=0.5), bars("AAA", 50, 100, 100, 150, 200, 200), bars("BBB", *[10] * 6))
    assert got.days == tuple(DAYS[1:])
    assert got.growth == pytest.approx((1.0, 1.0, 1.25, 1.5, 1.5))
    assert got.held == pytest.approx((1.0, 1.0, 1.25, 1.5, 1.5)), "one of two that are held"


def test_a_later_portfolio_is_followed_at_its_own_open() -> None:
    rows = [*portfolio(DAYS[0], AAA=1.0), *portfolio(DAYS[2], AAA=0.0, BBB=1.0)]
    got = follow(rows, bars("AAA", 100, 100, 110, 110, 1, 1), bars("BBB", 10, 10, 10, 10, 20, 30))
    assert got.growth == pytest.approx((1.0, 1.1, 1.1, 2.2, 3.3))
    assert got.turnover == pytest.approx(1 + 2)
    assert got.portfolios == 2


def test_what_is_kept_is_not_traded() -> None:
    rows = [*portfolio(DAYS[0], AAA=0.5), *portfolio(DAYS[2], "keep", AAA=0.5)]
    got = follow(rows, bars("AAA", 100, 100, 200, 200, 400, 400))
    assert got.turnover == pytest.approx(0.5)
    assert got.growth[-1] == pytest.approx(0.5 + 2.0)


def test_a_split_is_no_gain_and_costs_are_paid_on_both_sides() -> None:
    halved = follow(
        portfolio(DAYS[0], AAA=1.0), bars("AAA", 100, 100, 50, 50, 50, 50), actions=splits_of(("AAA", DAYS[2], 2.0))
    )
    assert halved.growth == pytest.approx((1.0,) * 5)
    rows = [*portfolio(DAYS[0], AAA=1.0), *portfolio(DAYS[2], AAA=0.0)]
    got = follow(rows, bars("AAA", *[100] * 6), cost_bp=100.0)
    assert got.growth[-1] == pytest.approx(1 / 1.01 * 0.99)
    assert got.held[-1] == pytest.approx(1 / 1.01)


def test_a_symbol_without_a_bar_is_not_bought_and_one_that_ends_keeps_its_value() -> None:
    ends = bars("AAA", 100, 100, 120, 120, 1, 1).head(4)
    late = bars("BBB", *[10] * 6).filter(pl.col("session") > DAYS[1])
    got = follow(portfolio(DAYS[0], AAA=0.5, BBB=0.5), ends, late)
    assert got.growth[-1] == pytest.approx(0.5 * 1.2 + 0.5)


def test_without_portfolios_nothing_is_followed() -> None:
    got = follow([], bars("AAA", *[100] * 6)).measures()
    assert (got["portfolios"], got["return"], got["drawdown"]) == (0, None, None)


def test_the_deepest_fall_counts_from_the_start_too() -> None:
    got = follow(portfolio(DAYS[0], AAA=1.0), bars("AAA", 100, 100, 50, 75, 75, 60)).measures()
    assert got["drawdown"] == pytest.approx(0.5)
    assert got["return"] == pytest.approx(-0.4)


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(home: Home) -> date:
    """A home with a month of portfolios; the newest run day."""
    facts, span = made()
    how = plan(open_screen(), p_loss_max=1.0)
    rows, portfolios = walked(facts, span, how)
    lake, days = DeskResource().lake(), facts.bars["session"]
    whole = Span(days.min(), days.max())  # type: ignore[arg-type]
    for table, frame, where in (
        (WEEKLY_SCREEN, rows, span),
        (WEEKLY_PORTFOLIO, portfolios, span),
        (DAILY_BARS, facts.bars, whole),
        (CORPORATE_ACTIONS, facts.actions, whole),
    ):
        lake.write(table, frame, where)
    return runs_in(how.outline, span)[-1]


def test_the_command_shows_a_stored_portfolio_as_one_json_object(
    stored: date, capsys: pytest.CaptureFixture[str]
) -> None:
    run_weekly(stored, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["session"] == stored.isoformat()
    assert shown["capital_fraction"] == 0.0
    assert math.isclose(sum(row["weight"] for row in shown["portfolio"]), shown["weight"], abs_tol=1e-5)
    assert shown["followed"]["portfolios"] == 3
    assert {"judged", "inside_50", "inside_90", "hit_rate", "beat_universe"} <= set(shown["calibration"])


def test_the_command_shows_the_same_as_tables(stored: date, capsys: pytest.CaptureFixture[str]) -> None:
    run_weekly(stored, as_json=False)
    out = capsys.readouterr().out
    assert f"Weekly desk after {stored}" in out
    assert TOTAL in out
    assert "followed return" in out


def test_a_day_that_is_no_run_day_is_refused_with_the_next_one(home: Home) -> None:
    with pytest.raises(PermanentFailure) as refused:
        run_weekly(date(2012, 6, 13), as_json=True)
    assert refused.value.hint == "desk weekly --session 2012-06-15"
    with pytest.raises(PermanentFailure):
        run_weekly(date(2012, 6, 16), as_json=True)


def test_a_run_day_that_has_not_closed_is_not_ready(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_CLOCK", "2012-06-15T12:00:00-04:00")
    with pytest.raises(DataNotReady):
        run_weekly(date(2012, 6, 15), as_json=True)


def test_a_weekly_desk_that_is_switched_off_says_which_setting(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    for path in CONFIG.glob("*.yaml"):
        (folder / path.name).write_text(path.read_text())
    (folder / "operations.yaml").write_text("weekly: {enabled: false}\n")
    monkeypatch.setenv("DESK_CONFIG", str(folder))
    with pytest.raises(PermanentFailure, match="switched off"):
        run_weekly(None, as_json=True)
