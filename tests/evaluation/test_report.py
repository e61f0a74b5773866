"""The improvement report: right when all is there, and present when almost nothing is."""

import io
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tests.evaluation.books import CASH, account, account_row, day, plan, tiny, trade_row, trades, verdicts, walk
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import GateRecord
from trading_assets.core.slots import Slot
from trading_assets.evaluation.findings import ReportInputs, find
from trading_assets.evaluation.report import Report, improvement_report, write_report
from trading_assets.evaluation.vetoed import VetoOutcome
from trading_assets.execution.orders import intent_for
from trading_assets.plans.model import TRADE_PLANS, TradePlan
from trading_assets.plans.trader import plan_rows
from trading_assets.signatures.model import Verdict

PICTURES = ("equity.png", "drawdown.png", "pnl_by_strategy.png", "pnl_by_regime.png")
HEADINGS = (
    "Headline",
    "This session",
    "What worked",
    "What failed",
    "By strategy",
    "By regime at entry",
    "Theses",
    "Who was right",
    "Lessons",
    "Vetoes by control",
    "Data quality",
    "Proposals",
    "What these figures cannot tell",
)


def inputs(**more: object) -> ReportInputs:
    book = tiny()
    known = ReportInputs("backtest", day(5), CASH, book.account, book.trades, book.benchmark)
    return replace(known, **more)  # type: ignore[arg-type]


def section(report: Report, heading: str) -> str:
    return report.markdown.split(f"## {heading}\n")[1].split("\n## ")[0].strip()


def plan_frame(given: TradePlan) -> pl.DataFrame:
    session = XNYS.session(given.session)
    return TRADE_PLANS.frame(plan_rows([given], Slot(session, given.slot, session.open)))


def refused(control: str, pnl: int, *, number: int = 1) -> VetoOutcome:
    return VetoOutcome(f"plan-{number}", day(number), "AAPL", "pullback", (control,), "closed", CASH * 0 + pnl)


NOTHING = ReportInputs("desk", day(1), CASH, account(), trades())
CORNERS = {
    "nothing at all": NOTHING,
    "one session": replace(NOTHING, account=account(account_row(1, 100_000))),
    "no trades": inputs(trades=trades()),
    "no benchmark": inputs(benchmark=None),
    "an empty benchmark": inputs(benchmark=tiny().benchmark.clear()),
    "no account on the day": inputs(session=day(6)),
    "only losers": inputs(trades=trades(trade_row(1, -10), trade_row(2, -20))),
    "a failed gate": inputs(
        gates=[GateRecord("daily_bars", day(5), "v1", passed=False, failures=("AAPL is missing",))]
    ),
    "empty optional tables": inputs(verdicts=verdicts(), plans=TRADE_PLANS.empty()),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_the_report_appears_whatever_is_missing(corner: str, tmp_path: Path) -> None:
    report = improvement_report(CORNERS[corner])
    assert [line[3:] for line in report.markdown.splitlines() if line.startswith("## ")] == list(HEADINGS)
    assert "None" not in report.markdown
    assert "nan" not in report.markdown
    paths = write_report(report, tmp_path / "reports")
    assert json.loads(paths.json.read_text()) == report.data
    assert {path.name for path in paths.plots} == set(report.plots)


def test_the_headline_stands_beside_buy_and_hold() -> None:
    words = section(improvement_report(inputs()), "Headline")
    assert "| Equity, USD | 100,300.00 | 100,200.00 |" in words
    assert "| Total return | +0.30% | +0.20% |" in words
    assert "| Profit factor | 4.00 | n/a |" in words
    assert "![Equity against buy-and-hold](equity.png)" in words


def test_the_session_is_told_in_one_sentence() -> None:
    words = section(improvement_report(inputs()), "This session")
    assert words.startswith("P&L +400.00 USD (fees 1.00, dividends 0.00). 1 slots decided")
    assert "1 trades closed, 0 positions at the close." in words


def test_the_first_session_counts_from_the_starting_cash() -> None:
    report = improvement_report(inputs(session=day(1), account=tiny().account.head(1)))
    assert section(report, "This session").startswith("P&L +200.00 USD")


def test_a_session_without_a_settled_account_says_so() -> None:
    words = section(improvement_report(inputs(session=day(6))), "This session")
    assert words == f"The book has no settled account for {day(6)}."


def test_winners_and_losers_stand_apart_best_and_worst_first() -> None:
    rows = trades(*(trade_row(n, (n - 8) * 10, symbol=f"S{n}") for n in range(1, 16)))
    found = find(inputs(trades=rows))
    assert [line.symbol for line in found.best] == ["S15", "S14", "S13", "S12", "S11"]
    assert [line.symbol for line in found.worst] == ["S1", "S2", "S3", "S4", "S5"]


def test_a_trade_carries_the_reasons_of_the_plan_that_its_intent_came_from() -> None:
    entered = plan(1)
    verdict = Verdict(
        signer="risk_gate", plan_id=entered.id, plan_digest="", ruling="approve", quantity=10, breaches=()
    )
    trade_id = intent_for(entered, verdict, book="backtest", limits_hash="").id
    report = improvement_report(inputs(trades=trades(trade_row(1, 50, trade_id=trade_id)), plans=plan_frame(entered)))
    assert "| closed above its mean; breadth \\| rises |" in section(report, "What worked")


def test_vetoes_are_counted_by_control_and_by_what_they_would_have_become() -> None:
    judged = verdicts((plan(1), "veto", "sector,cash"), (plan(2), "veto", "sector"), (plan(3), "shrink", "cash"))
    outcomes = [refused("sector", 30), refused("sector", -10, number=2)]
    found = find(inputs(verdicts=judged, vetoed=outcomes)).controls
    assert [(c.control, c.vetoes, c.replayed) for c in found] == [("sector", 2, 2), ("cash", 1, 0)]
    assert (found[0].would_have_won, found[0].would_have_lost) == (1, 1)
    assert found[0].pnl_usd == 20


def test_controls_that_were_not_replayed_have_no_invented_profit() -> None:
    report = improvement_report(inputs(verdicts=verdicts((plan(1), "veto", "cash"))))
    assert "| cash | 1 | 0 | 0 | 0 | 0 | n/a |" in section(report, "Vetoes by control")


def test_failed_gates_are_incidents_and_passed_ones_are_not() -> None:
    gates = [
        GateRecord("daily_bars", day(4), "v1", passed=True),
        GateRecord("daily_bars", day(5), "v2", passed=False, failures=("AAPL is missing", "MSFT is stale")),
    ]
    report = improvement_report(inputs(gates=gates))
    assert section(report, "Data quality") == f"- {day(5)} daily_bars: AAPL is missing; MSFT is stale"
    assert "Quality gates failed 1 times" in section(report, "What these figures cannot tell")


def test_the_newest_failed_gates_are_shown_and_the_others_counted() -> None:
    gates = [GateRecord("daily_bars", day(n), "v", passed=False) for n in range(1, 24)]
    lines = section(improvement_report(inputs(gates=gates)), "Data quality").splitlines()
    assert (lines[0], lines[19], lines[20:]) == (
        f"- {day(23)} daily_bars: failed",
        f"- {day(4)} daily_bars: failed",
        ["- and 3 before these"],
    )


def test_the_trades_that_closed_in_the_session_are_listed() -> None:
    words = section(improvement_report(inputs()), "This session")
    assert f"| {day(5)} | AAPL | pullback | ranging | target | 3 | +200.00 | +20.00% | n/a |" in words
    assert str(day(1)) not in words


def test_proposals_are_listed_with_their_numbers_and_never_applied() -> None:
    losing = trades(*(trade_row(n, -10) for n in range(1, 11)))
    words = section(improvement_report(inputs(trades=losing)), "Proposals")
    assert words.startswith("For the operator to decide; nothing is applied.")
    assert "**strategy pullback**: review its rules, or pause it." in words
    assert "(n = 10)" in words


def test_the_same_record_gives_the_same_report_to_the_byte() -> None:
    book = walk(60)
    given = ReportInputs("backtest", day(60), CASH, book.account, book.trades, book.benchmark)
    first, second = improvement_report(given), improvement_report(given)
    assert (first.markdown, first.data, first.plots) == (second.markdown, second.data, second.plots)


def test_pictures_are_small_and_of_a_readable_size() -> None:
    book = walk(520)
    report = improvement_report(ReportInputs("backtest", day(520), CASH, book.account, book.trades, book.benchmark))
    assert tuple(report.plots) == PICTURES
    for content in report.plots.values():
        picture = Image.open(io.BytesIO(content))
        assert len(content) < 60_000
        assert picture.width == 880
        assert len(picture.convert("RGB").getcolors(256) or ()) > 5


def test_drawing_leaves_no_figure_behind_and_needs_no_display() -> None:
    from matplotlib import get_backend
    from matplotlib import pyplot as plt

    backend = get_backend()
    improvement_report(inputs())
    assert plt.get_fignums() == []
    assert get_backend() == backend


def test_only_pictures_with_something_to_show_are_drawn() -> None:
    assert improvement_report(NOTHING).plots == {}
    assert tuple(improvement_report(inputs(trades=trades())).plots) == PICTURES[:2]


def test_every_picture_of_the_text_is_written_beside_it(tmp_path: Path) -> None:
    report = improvement_report(inputs())
    paths = write_report(report, tmp_path)
    named = [line.split("(")[-1].rstrip(")") for line in report.markdown.splitlines() if line.startswith("![")]
    assert sorted(named) == sorted(path.name for path in paths.plots) == sorted(PICTURES)
    assert paths.markdown.read_text() == report.markdown


def test_writing_again_replaces_the_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_report(improvement_report(inputs()), tmp_path)
    paths = write_report(improvement_report(inputs(benchmark=None)), tmp_path)
    assert "buy-and-hold to compare" in paths.markdown.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*PICTURES, "report.json", "report.md"])


def test_a_write_that_fails_leaves_the_old_report_whole(tmp_path: Path) -> None:
    paths = write_report(improvement_report(inputs()), tmp_path)
    before = paths.markdown.read_text()
    broken = replace(improvement_report(inputs(benchmark=None)), data={"not": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        write_report(broken, tmp_path)
    assert paths.markdown.read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*PICTURES, "report.json", "report.md"])


def test_a_file_that_cannot_be_put_in_place_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "report.md").mkdir()
    with pytest.raises(OSError, match="report.md"):
        write_report(improvement_report(inputs()), tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_json_has_numbers_for_money_and_null_for_undefined() -> None:
    data = improvement_report(inputs(benchmark=None)).data
    assert data["desk"]["equity_usd"] == 100300.0
    assert data["desk"]["cagr_fraction"] is None
    assert data["benchmark"] is None
    assert data["session"] == str(day(5))
    assert data["best"][0]["pnl_usd"] == 200.0
