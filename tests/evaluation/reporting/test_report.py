"""The report: present whatever is missing, each part by itself, and the same for the same record."""

import json
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import CASH, account, account_row, day, tiny, trade_row, trades, walk
from tests.evaluation.reporting.records import Given, nothing, of_book, section, tiny_given
from trading_assets.core.ports import GateRecord
from trading_assets.evaluation.making import SHOWN_BYTES_MAX, shown
from trading_assets.evaluation.report import (
    BEHIND,
    FRONT,
    PARTS,
    SCHEMA,
    VERSION,
    Report,
    missing_of,
    write_report,
)
from trading_assets.evaluation.reporting.record import Happening, Period

HEADINGS = [section.heading for section in (*FRONT, *BEHIND)]
TABLES = (
    *("account", "trades", "orders", "fills", "positions", "benchmarks", "coin_lives", "benchmark_notes"),
    *("attribution_shares", "slippage", "decision_evidence", "metric_intervals", "strategy_standings"),
    *("experiment_results", "verdicts", "trade_plans", "stances", "lessons", "thesis_scores", "votes"),
    *("regime_labels", "corporate_actions", "weekly_portfolio"),
)


def failed(span: object) -> list[GateRecord]:
    return [GateRecord("daily_bars", day(5), "v1", passed=False, failures=("AAPL is missing", "MSFT is stale"))]


CORNERS = {
    "nothing at all": nothing(day(1)),
    "a week without a row": replace(nothing(day(5)), period=Period.week_of(day(5))),
    "one session": replace(nothing(day(1)), frames={"account": account(account_row(1, 100_000))}),
    "no trades": tiny_given().but(trades=trades()),
    "no settlement": tiny_given(6),
    "a week that is not settled to its end": tiny_given(7, week=True),
    "only losers": tiny_given().but(trades=trades(trade_row(1, -10), trade_row(2, -20))),
    "a failed gate": tiny_given().but(told={"gates": failed}),
    "a long record": of_book(walk(60), 60, week=True),
}


def check(report: Report) -> None:
    """What every report holds."""
    assert [line[3:] for line in report.markdown.splitlines() if line.startswith("## ")] == HEADINGS
    for text in (report.markdown, re.sub('base64,[^"]*', "", report.html)):
        assert not re.search(r"\b(None|nan|inf|Decimal|Traceback)\b", text)
    assert tuple(report.data["parts"]) == PARTS
    assert json.loads(json.dumps(report.data, allow_nan=False)) == report.data


@pytest.mark.parametrize("corner", CORNERS)
def test_the_report_appears_whatever_is_missing(corner: str, tmp_path: Path) -> None:
    report = CORNERS[corner].report(draws=corner == "a long record")
    check(report)
    assert list(missing_of(report)) == []
    paths = write_report(report, tmp_path / "reports")
    assert json.loads(paths.json.read_text()) == report.data
    assert {path.name for path in paths.plots} == set(report.plots)
    assert paths.html.read_text() == report.html


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_cannot_be_read_costs_the_parts_that_need_it_and_no_other(table: str) -> None:
    whole = tiny_given().report()
    report = replace(tiny_given(), broken={table}).report()
    check(report)
    lost = report.data["missing"]
    assert lost
    assert len(lost) < len(PARTS)
    for key, sentence in lost.items():
        assert sentence == f"This part could not be made: {table} is damaged"
        assert report.data["parts"][key] is None
    kept = [key for key in PARTS if key not in lost and key != "caveats"]
    assert {key: report.data["parts"][key] for key in kept} == {key: whole.data["parts"][key] for key in kept}


def test_with_every_table_broken_the_page_still_says_why() -> None:
    report = replace(tiny_given(), broken=TABLES, failure=OSError("no /srv/lake/desk/account.parquet here")).report()
    check(report)
    assert "What happened could not be read" in report.markdown
    told = report.data["missing"]["happened"]
    assert told == "This part could not be made: OSError: no … here"
    assert report.data["missing"].keys() >= {"happened", "why", "change", "tomorrow", "trades"}


def test_an_error_is_one_line_of_bounded_length() -> None:
    report = replace(tiny_given(), broken={"account"}, failure=ValueError("a\nb " + "x" * 999)).report()
    sentence = report.data["missing"]["happened"]
    assert "\n" not in sentence
    assert len(sentence) < 300


def test_a_picture_that_cannot_be_drawn_costs_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(key: str, record: object) -> object:
        raise RuntimeError(f"no colours for {key}")

    whole = tiny_given().report()
    monkeypatch.setattr("trading_assets.evaluation.report.pictures_of", damaged)
    report = tiny_given().report(draws=True)
    check(report)
    assert (report.data, report.plots) == (whole.data, {})
    assert "Its pictures could not be drawn: RuntimeError: no colours for happened" in report.markdown


def test_the_front_says_what_the_session_made_beside_buy_and_hold() -> None:
    report = tiny_given().report()
    first = report.markdown.splitlines()[2]
    assert first == (
        "The session made +400.00 USD (+0.40%). The book stands at 100,300.00 USD, +0.30% since it began 5 sessions ago."
    )
    words = section(report, "What happened")
    assert "| buy and hold | -100.00 | -0.10% | +0.20% |  |  | too few sessions to compare |" in words
    assert "13 of 13 slots decided, 0 plans" in words
    assert "1 trade closed, 1 of them won. Fees 1.00 USD" in words
    assert "No halt, no missed part and no failed gate in the period." in words


def test_the_first_session_counts_from_the_starting_cash() -> None:
    assert tiny_given(1).report().data["parts"]["happened"]["pnl_usd"] == 200.0


def test_a_session_without_a_settled_account_says_so_and_shows_what_there_is() -> None:
    report = tiny_given(6).report()
    assert f"The book has no settled account for {day(6)}" in report.markdown
    assert "**unsettled**: 1 session of 1 without a settled account `desk run postclose`" in report.markdown
    assert report.data["parts"]["happened"]["standings"] == []
    assert "| Worst" not in section(report, "Trades")


def test_a_week_is_the_sum_of_its_days() -> None:
    found = tiny_given(5, week=True).report().data["parts"]["happened"]
    assert [row["session"] for row in found["days"]] == [str(day(5))]
    early = of_book(walk(60), 60, week=True).report().data["parts"]["happened"]
    assert sum(row["pnl_usd"] for row in early["days"]) == pytest.approx(early["pnl_usd"])
    assert early["sessions"] == len(early["days"]) == early["sessions_settled"]


def test_what_went_wrong_stands_on_the_front_with_the_halt_in_its_words() -> None:
    told = (
        Happening(day(5), "halt", "halted, halt 3: equity below its floor"),
        Happening(day(5), "missed", "missed: slot 10:00"),
    )
    given = tiny_given().but(
        told={"happened": lambda _: told, "gates": failed, "decided": lambda _: [(day(5), "09:30")]}
    )
    words = section(given.report(), "What happened")
    assert f"- **halt**: {day(5)}: halted, halt 3: equity below its floor" in words
    assert "**missed**" in words
    assert f"- **failed data gate**: {day(5)} daily_bars: AAPL is missing; MSFT is stale" in words
    assert "- **undecided**: 12 of 13 slots have no decision" in words
    assert "No halt" not in words


def test_looks_between_slots_are_not_counted_as_slots() -> None:
    given = tiny_given().but(told={"decided": lambda _: [(day(5), "09:30"), (day(5), "09:31:07")]})
    assert "1 of 13 slots decided, 1 look between them" in section(given.report(), "What happened")


def test_the_same_record_gives_the_same_report_to_the_byte_in_any_order_of_rows() -> None:
    given = of_book(walk(60), 60)
    mixed = given.with_frames({name: frame.reverse() for name, frame in given.frames.items()})
    first, second, third = given.report(draws=True), given.report(draws=True), mixed.report(draws=True)
    assert (first.html, first.data, first.plots) == (second.html, second.data, second.plots)
    assert (first.html, first.data, first.plots) == (third.html, third.data, third.plots)


def test_what_the_ui_stores_stays_below_its_limit_and_keeps_the_first_pictures() -> None:
    report = of_book(walk(500), 500).report(draws=True)
    text = shown(report)
    assert len(text.encode()) <= SHOWN_BYTES_MAX
    assert "data:image/png;base64," in text.split("## Why")[0]
    fat = replace(report, plots={name: content * 20 for name, content in report.plots.items()})
    assert shown(fat) == report.markdown


def test_json_names_its_schema_and_has_numbers_for_money() -> None:
    data = tiny_given().report().data
    assert (data["schema"], data["version"]) == (SCHEMA, VERSION)
    assert (data["kind"], data["name"], data["last"]) == ("session", str(day(5)), str(day(5)))
    assert data["parts"]["trades"]["best"][0]["pnl_usd"] == 200.0
    assert data["parts"]["benchmarks"]["desk"]["cagr_fraction"] is None


def test_writing_again_replaces_the_files_and_removes_pictures_that_are_no_more(tmp_path: Path) -> None:
    write_report(tiny_given().report(draws=True), tmp_path)
    report = nothing(day(1)).report()
    write_report(report, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json", "report.md"]
    assert (tmp_path / "report.md").read_text() == report.markdown


def test_a_write_that_fails_leaves_the_old_report_whole(tmp_path: Path) -> None:
    write_report(tiny_given().report(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    broken = replace(nothing(day(1)).report(), data={"not": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        write_report(broken, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_that_cannot_be_put_in_place_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "report.md").mkdir()
    with pytest.raises(OSError, match=r"report\.md"):
        write_report(nothing(day(1)).report(), tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


@settings(deadline=None, max_examples=20)
@given(
    equity=st.lists(st.decimals(min_value=1, max_value=500_000, places=4), max_size=8),
    pnl=st.lists(st.decimals(min_value=-9000, max_value=9000, places=4), max_size=8),
    names=st.lists(st.text(alphabet="ab |\n*_#é`<[](!", min_size=1, max_size=12), min_size=1, max_size=3),
    week=st.booleans(),
)
def test_any_record_makes_whole_tables_and_plain_json(
    equity: list[Decimal], pnl: list[Decimal], names: list[str], week: bool
) -> None:
    closed = [
        trade_row(n, amount, strategy=names[n % len(names)], regime=names[0], return_fraction=0.0)
        for n, amount in enumerate(pnl, start=1)
    ]
    last = day(max(1, len(equity)))
    frames = {
        "account": account(*(account_row(n, e) for n, e in enumerate(equity, start=1))),
        "trades": trades(*closed),
    }
    report = Given(frames, Period.week_of(last) if week else Period.session(last)).report()
    check(report)
    assert list(missing_of(report)) == []
    for run in re.findall(r"(?:^\|.*\n)+", report.markdown, flags=re.M):
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in run.splitlines()}
        assert len(bars) == 1, run


def test_the_starting_cash_of_the_rules_is_that_of_the_books() -> None:
    assert tiny_given().record().starting_cash == CASH
    assert tiny().account.height == 5
    assert date(2024, 1, 8) == day(5)
