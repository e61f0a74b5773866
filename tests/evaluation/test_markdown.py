"""The text of the report: what a reader sees, whatever the record holds."""

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import CASH, account, account_row, benchmark, day, trade_row, trades
from trading_assets.core.ports import GateRecord
from trading_assets.evaluation.findings import ReportInputs, find
from trading_assets.evaluation.markdown import render
from trading_assets.evaluation.vetoed import VetoOutcome

AMOUNTS = st.decimals(min_value=-9000, max_value=9000, places=4)
WORDS = st.text(alphabet="ab |\n*_#é", min_size=1, max_size=12)


def text_of(inputs: ReportInputs) -> str:
    return render(find(inputs), ())


def tables_of(text: str) -> list[list[str]]:
    """Runs of lines that begin like a table."""
    runs: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            runs[-1].append(line)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def cells(line: str) -> int:
    return line.replace("\\|", "").count("|") - 1


@settings(deadline=None, max_examples=25)
@given(
    equity=st.lists(st.decimals(min_value=1, max_value=500_000, places=4), max_size=12),
    pnl=st.lists(AMOUNTS, max_size=12),
    names=st.lists(WORDS, min_size=1, max_size=3),
    failures=st.lists(WORDS, max_size=3),
    with_benchmark=st.booleans(),
)
def test_any_record_renders_with_whole_tables_and_plain_json(
    equity: list[Decimal], pnl: list[Decimal], names: list[str], failures: list[str], with_benchmark: bool
) -> None:
    rows = [
        trade_row(n, amount, strategy=names[n % len(names)], regime=names[0], return_fraction=0.0)
        for n, amount in enumerate(pnl, start=1)
    ]
    inputs = ReportInputs(
        lane="desk",
        session=day(max(1, len(equity))),
        starting_cash=CASH,
        account=account(*(account_row(n, value) for n, value in enumerate(equity, start=1))),
        trades=trades(*rows),
        benchmark=benchmark(*equity) if with_benchmark else None,
        gates=[GateRecord("daily_bars", day(1), "v", passed=False, failures=tuple(failures))],
    )
    findings = find(inputs)
    text = render(findings, ())
    for table in tables_of(text):
        assert len({cells(line) for line in table}) == 1, table
    assert not any(word in text for word in ("None", "nan", "inf "))
    assert json.loads(json.dumps(findings.as_json(), allow_nan=False)) == findings.as_json()


@settings(deadline=None, max_examples=25)
@given(pnl=st.lists(AMOUNTS, max_size=25))
def test_best_trades_never_lost_worst_never_won_and_both_are_in_order(pnl: list[Decimal]) -> None:
    rows = trades(*(trade_row(n, amount, return_fraction=0.0) for n, amount in enumerate(pnl, start=1)))
    found = find(ReportInputs("desk", day(30), CASH, account(), rows))
    best, worst = [line.pnl_usd for line in found.best], [line.pnl_usd for line in found.worst]
    assert best == sorted((p for p in pnl if p > 0), reverse=True)[:5]
    assert worst == sorted(p for p in pnl if p < 0)[:5]


def test_a_name_with_a_bar_or_a_line_break_stays_in_its_cell() -> None:
    rows = trades(trade_row(1, 10, strategy="a|b\nc"))
    text = text_of(ReportInputs("desk", day(1), CASH, account(), rows))
    assert "| a\\|b c | 1 | +10.00 | 100% | n/a | +10.00 | 1.0 |" in text


def test_pictures_are_named_only_where_they_exist() -> None:
    findings = find(ReportInputs("desk", day(1), CASH, account(account_row(1, 100_000)), trades()))
    assert "![" not in render(findings, ())
    assert "![Drawdown](drawdown.png)" in render(findings, ("drawdown.png",))


def test_the_outcome_of_vetoes_needs_no_verdicts_to_be_left_out() -> None:
    outcome = VetoOutcome("p", day(1), "AAPL", "pullback", ("cash",), "closed", Decimal(5))
    text = text_of(ReportInputs("desk", day(1), CASH, account(), trades(), vetoed=[outcome]))
    assert "No plan was refused." in text


def test_the_title_names_lane_and_session() -> None:
    text = text_of(ReportInputs("backtest", day(3), CASH, account(), trades()))
    assert text.startswith(f"# Improvement report: backtest, {day(3)}\n")
    assert text.endswith("\n")
