"""`desk costs`: what was spent, what is left, and what to read when there is nothing."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from desk.costs import run_costs
from resources.clock import RealClock
from resources.desk import DeskResource
from resources.ledger.breakers import SqlBreakers
from resources.ledger.costs import SqlCostBook
from resources.ledger.records import Counted, SqlAgentHealth
from tests.resources.ledger.calls import HOLD, NOW, POLICY, TODAY, backfill, budget, ended, planned
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.settings import PROJECT, Home


@pytest.fixture
def ledger(home: Home) -> sa.Engine:
    """The desk's ledger in an empty home."""
    return DeskResource().engine("desk")


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")


@pytest.fixture
def spent(ledger: sa.Engine) -> sa.Engine:
    """Two calls of a decision, one of a backfill, one under way."""
    costs = SqlCostBook(ledger)
    for name, of, cost in (("a", budget(), "0.012"), ("b", budget(), "0.000000001"), ("c", backfill(), "0.03")):
        assert costs.reserve(planned(name, of), Decimal("0.02"), as_of=NOW, hold=HOLD) is None
        costs.settle(name, ended(cost, "timeout" if name == "b" else "ok"), as_of=NOW)
    costs.reserve(planned("d"), Decimal("0.01"), as_of=NOW, hold=HOLD)
    SqlAgentHealth(ledger).add([Counted("technical", "anthropic", TODAY, answers=3, replays=9)], as_of=NOW)
    return ledger


def as_json(capsys: pytest.CaptureFixture[str], day: date | None = TODAY, by: str = "route", **span: date) -> Any:
    run_costs(day, span.get("first"), span.get("last"), by, as_json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def test_an_empty_home_says_that_no_model_was_asked_and_why(
    ledger: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run_costs(None, None, None, "route", as_json=False)
    out = capsys.readouterr().out
    assert "no model was ever asked; config/reasoning.yaml says mode: rules" in out
    assert "open breakers" in out
    assert "{" not in out


def test_the_empty_state_names_the_mode_that_is_set(
    ledger: sa.Engine, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    for file in (PROJECT / "config").glob("*.yaml"):
        text = (
            file.read_text().replace("mode: rules ", "mode: models ")
            if file.name == "reasoning.yaml"
            else file.read_text()
        )
        (folder / file.name).write_text(text)
    monkeypatch.setenv("DESK_CONFIG", str(folder))
    assert as_json(capsys, None)["note"].endswith("mode: models")


def test_a_day_without_calls_points_to_the_last_one_that_has_some(
    spent: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    told = as_json(capsys, date(2026, 1, 2))
    assert told["note"] == "no model was asked then; the last call is of 2026-11-20: desk costs --day 2026-11-20"
    assert told["calls"] == 0


def test_the_report_of_a_day(spent: sa.Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert as_json(capsys) == {
        "days": "2026-11-20",
        "calls": 3,
        "spent_usd": "0.042000001",
        "subscription_list_price_usd": "0",
        "reserved_now": {"calls": 1, "usd": "0.01"},
        "left_usd": {"day:desk:2026-11-20": "4.977999999", "backfill:walk-1": "19.97"},
        "outcomes": {"ok": 2, "timeout": 1},
        "tokens": {"input": 18_000, "cached": 13_500, "output": 3_000},
        "cached_share": 0.75,
        "cost_per_decision": {
            "decisions": 2,
            "mean_usd": "0.021",
            "most_usd": "0.03",
            "most_expensive": "backtest/2012-03-01/briefs",
            "cap_usd": "0.05",
        },
        "replayed": {"asked": 3, "replayed": 9},
        "open_breakers": [],
        "by_route": [
            {
                "name": "anthropic",
                "calls": 3,
                "failed": 1,
                "cost_usd": "0.042000001",
                "subscription_list_price_usd": "0",
                "input_tokens": 18_000,
                "cached_tokens": 13_500,
                "output_tokens": 3_000,
            }
        ],
    }


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("route", ["anthropic"]),
        ("model", ["anthropic-small"]),
        ("skill", ["technical"]),
        ("decision", ["backtest/2012-03-01/briefs", "desk/2026-11-20/09:30"]),
        ("day", ["2026-11-20"]),
    ],
)
def test_calls_are_grouped_as_asked(
    spent: sa.Engine, capsys: pytest.CaptureFixture[str], by: str, names: list[str]
) -> None:
    assert [each["name"] for each in as_json(capsys, by=by)[f"by_{by}"]] == names
    run_costs(TODAY, None, None, by, as_json=False)
    out = capsys.readouterr().out
    assert all(name in out for name in names)


def test_a_person_reads_lines_and_a_table(spent: sa.Engine, capsys: pytest.CaptureFixture[str]) -> None:
    run_costs(TODAY, None, None, "route", as_json=False)
    out = capsys.readouterr().out
    assert "spent usd                    0.042000001" in out
    assert "day:desk:2026-11-20 4.977999999" in out.replace("day:desk:2026-11-20  ", "")
    assert "Model calls by route" in out
    assert "cached share                 75%" in out
    assert "Decimal" not in out


def test_a_subscriptions_list_price_has_a_column_only_where_there_is_one(
    spent: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run_costs(TODAY, None, None, "route", as_json=False)
    assert "list USD" not in capsys.readouterr().out
    costs = SqlCostBook(spent)
    costs.reserve(planned("s", route="claude-cli"), Decimal(0), as_of=NOW, hold=HOLD)
    costs.settle("s", replace(ended("0"), shadow_usd=Decimal("0.013")), as_of=NOW)
    run_costs(TODAY, None, None, "route", as_json=False)
    out = capsys.readouterr().out
    assert "list USD" in out
    assert "0.013" in out


def test_an_open_breaker_says_why_and_until_when(ledger: sa.Engine, capsys: pytest.CaptureFixture[str]) -> None:
    now = RealClock().now()
    breakers = SqlBreakers(ledger)
    breakers.failed("anthropic", POLICY, "quota", as_of=now, at_least=timedelta(hours=1), open_now=True)
    breakers.failed("openai", POLICY, "500", as_of=now)
    (told,) = as_json(capsys)["open_breakers"]
    assert (told["route"], told["state"], told["failures"], told["reason"]) == ("anthropic", "open", 1, "quota")
    assert told["next_trial"] == (now + timedelta(hours=1)).isoformat(timespec="seconds")
    assert 3_000 < told["in_seconds"] <= 3_600
    run_costs(TODAY, None, None, "route", as_json=False)
    assert "anthropic (quota) until" in capsys.readouterr().out


def test_a_cool_down_that_is_over_shows_no_negative_wait(ledger: sa.Engine, capsys: pytest.CaptureFixture[str]) -> None:
    long_ago = RealClock().now() - timedelta(days=2)
    SqlBreakers(ledger).failed("anthropic", POLICY, "500", as_of=long_ago, open_now=True)
    assert as_json(capsys)["open_breakers"][0]["in_seconds"] == 0


def test_without_a_day_it_is_today_in_new_york(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    before = RealClock().now().astimezone(NEW_YORK).date()
    told = as_json(capsys, None)["days"]
    assert told in {before.isoformat(), RealClock().now().astimezone(NEW_YORK).date().isoformat()}


def test_a_range_of_days(spent: sa.Engine, capsys: pytest.CaptureFixture[str]) -> None:
    told = as_json(capsys, None, first=date(2026, 11, 1), last=date(2026, 11, 30))
    assert (told["days"], told["calls"]) == ("2026-11-01 to 2026-11-30", 3)
    assert as_json(capsys, None, last=TODAY)["calls"] == 3
    assert list(told["left_usd"]) == ["day:desk:2026-11-30", "backfill:walk-1"]


def test_an_overdrawn_day_has_nothing_left(ledger: sa.Engine, capsys: pytest.CaptureFixture[str]) -> None:
    costs = SqlCostBook(ledger)
    costs.reserve(planned("a"), Decimal("0.02"), as_of=NOW, hold=HOLD)
    costs.settle("a", ended("7"), as_of=NOW)
    assert as_json(capsys)["left_usd"] == {"day:desk:2026-11-20": "0"}


def test_wrong_requests_are_refused_with_what_is_allowed(home: Home) -> None:
    with pytest.raises(PermanentFailure, match="route, model, skill, decision, day"):
        run_costs(TODAY, None, None, "colour", as_json=True)
    with pytest.raises(PermanentFailure, match="exclude each other"):
        run_costs(TODAY, TODAY, None, "route", as_json=True)
    with pytest.raises(PermanentFailure, match="after the last"):
        run_costs(None, TODAY, TODAY - timedelta(days=1), "route", as_json=True)


def test_many_groups_are_cut_for_a_person_and_whole_in_json(
    ledger: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = SqlCostBook(ledger)
    wanted = [(planned(f"r{n}", budget(f"desk/{n:02}")), Decimal("0.001")) for n in range(40)]
    costs.reserve_all(wanted, as_of=NOW, hold=HOLD)
    assert costs.sweep(as_of=NOW + HOLD) == 40
    run_costs(TODAY, None, None, "decision", as_json=False)
    assert "the first 30 of 40" in capsys.readouterr().out.replace("\n", " ")
    assert len(as_json(capsys, by="decision")["by_decision"]) == 40
