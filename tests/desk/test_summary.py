"""What the demo and the backtest end with: the book beside every benchmark, in a table and as JSON."""

import json
from pathlib import Path

import pytest

from desk.summary import show_summary
from resources.lake import ParquetLake
from tests.evaluation.books import CASH, day, plan, rows, tiny
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ids import short_id
from trading_assets.core.ports import Span
from trading_assets.core.slots import Slot
from trading_assets.core.tables import Table
from trading_assets.evaluation.benchmark_model import BENCHMARK_NOTES, BENCHMARKS, BUY_AND_HOLD, MOMENTUM
from trading_assets.evaluation.benchmarks.rows import Day, missing, rows_of
from trading_assets.evaluation.model import DECISION_EVIDENCE
from trading_assets.execution.model import ACCOUNT, TRADES
from trading_assets.plans.model import TRADE_PLANS
from trading_assets.plans.trader import plan_rows

SPAN = Span(day(1), day(5))


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ParquetLake:
    """A home's lake with the tiny book, buy-and-hold beside it, and a reason for momentum."""
    monkeypatch.setenv("DESK_HOME", str(tmp_path))
    made, book = ParquetLake(tmp_path / "lake"), tiny()
    sides = book.trades.with_columns(side=book.trades["symbol"].replace_strict({"AAPL": "long"}))
    held = [Day(XNYS.session(row["session"]), row["equity"]) for row in book.benchmark.rows(named=True)]
    last = XNYS.session(SPAN.last)
    put(made, ACCOUNT, book.account)
    put(made, TRADES, sides.select(list(TRADES.polars_schema())))
    put(made, BENCHMARKS, BENCHMARKS.frame(list(rows_of(BUY_AND_HOLD, held, CASH))))
    put(made, BENCHMARK_NOTES, BENCHMARK_NOTES.frame([missing(MOMENTUM, "no history").note(last)]))
    return made


def put(lake: ParquetLake, table: Table, frame: object) -> None:
    lake.write(table, frame, SPAN, lane="backtest")  # type: ignore[arg-type]


def test_the_table_has_the_desk_beside_each_benchmark_and_sentences_below(
    lake: ParquetLake, capsys: pytest.CaptureFixture[str]
) -> None:
    show_summary("backtest", as_json=False)
    shown = capsys.readouterr()
    assert "backtest: 2024-01-02 to 2024-01-08, 5 sessions" in " ".join(shown.out.split())
    for label in ("Total return", "Sharpe ratio", "Turnover per year", "Desk ahead, a year", "Win rate"):
        assert label in shown.out
    assert "100,300" in shown.out
    assert "buy and hold: too few sessions to compare" in shown.out
    assert "12-1 momentum: no number; no history" in shown.out
    assert "report.md" in shown.err
    assert max(len(line) for line in shown.out.splitlines()) <= 132


def test_json_has_every_benchmark_and_its_state(lake: ParquetLake, capsys: pytest.CaptureFixture[str]) -> None:
    show_summary("backtest", as_json=True)
    told = json.loads(capsys.readouterr().out)
    states = {name: each["state"] for name, each in told["benchmarks"].items()}
    assert states == {
        "buy_and_hold": "made",
        "momentum_12_1": "missing",
        "coin_flip": "missing",
        "rules_desk": "missing",
    }
    assert told["buy_and_hold"]["equity_usd"] == "100200.0000"
    assert told["evidence"] == {}
    assert told["decisions"]["bad_lost"] == {"trades": 0, "pnl_usd": "0"}


def test_evidence_that_is_not_all_rules_is_told_apart(lake: ParquetLake, capsys: pytest.CaptureFixture[str]) -> None:
    made = plan(1)
    slot = Slot(XNYS.session(made.session), made.slot, made.as_of)
    put(lake, TRADE_PLANS, TRADE_PLANS.frame(plan_rows([made], slot)))
    base = {"state": "ACTIVE", "models": "m", "plans": 1, "vetoes": 0, "calls": 1, "model_cost": 0.01}
    told = {"session": day(1), "slot": made.slot, "evidence": "contaminated", "book_evidence": "contaminated", **base}
    put(lake, DECISION_EVIDENCE, rows(DECISION_EVIDENCE, [told]))
    trades = lake.read(TRADES, as_of=XNYS.session(XNYS.last).close, lane="backtest")
    ids = [short_id("backtest", made.id), *trades["trade_id"].to_list()[1:]]
    put(lake, TRADES, trades.with_columns(trade_id=trades["trade_id"].replace_strict(trades["trade_id"], ids)))
    show_summary("backtest", as_json=False)
    shown = capsys.readouterr().out
    assert "decided on contaminated evidence: 1 trades, +200.00 USD, 100% won" in shown
    assert "decided on unknown evidence: 2 trades, +100.00 USD, 50% won" in shown


def test_a_book_without_a_settled_session_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_HOME", str(tmp_path))
    with pytest.raises(DataNotReady, match="no settled session"):
        show_summary("backtest", as_json=False)
