"""The look-ups of a conversation: what they show, that they are small, see only what was knowable, and never write."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.consult.reading import CHARACTERS_MAX, ROWS_MAX, Desk, Found, found, row, told
from desk.consult.tools import TOOLS, catalogue, use, worded
from resources.desk import BACKTEST, DESK, DeskResource
from tests.desk.consulted import LIVED, LURE, NEXT, NOW, filled, lived, put
from trading_assets.core.calendar import XNYS
from trading_assets.core.settings import Home
from trading_assets.market.documents.model import NEWS
from trading_assets.plans.guide import Row, ToolCall
from trading_assets.signatures.model import VERDICTS


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of the module's tests; nobody changes it."""
    place = tmp_path_factory.mktemp("consulted")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DESK_CONFIG", "DESK_CLOCK", "LEDGER_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("DESK_HOME", str(place))
        lived()
        yield place


def desk(now: datetime = NOW, lane: str = DESK) -> Desk:
    """The desk of the module's home."""
    return Desk(lane, now)


def look(tool: str, now: datetime = NOW, lane: str = DESK, **arguments: Any) -> Found:
    """What a look-up shows."""
    return use(desk(now, lane), ToolCall(tool=tool, **arguments))


def cells(tool: str, **arguments: Any) -> list[str]:
    """The desk's own words of each row."""
    return [each.cells for each in look(tool, **arguments).rows]


def quoted(tool: str, **arguments: Any) -> list[str | None]:
    """Others' words of each row."""
    return [each.quoted for each in look(tool, **arguments).rows]


# What they show


def test_bars_are_the_newest_of_the_symbol_oldest_first(root: Path) -> None:
    shown = cells("bars", symbol="IBM", rows=2)
    assert shown == [
        f"session={LIVED[1]} open=101 high=102.5 low=99 close=102.25 volume=1001",
        f"session={LIVED[2]} open=102 high=102.5 low=99 close=103.25 volume=1002",
    ]


def test_bars_of_a_range_are_those_of_the_range(root: Path) -> None:
    assert [line.split()[0] for line in cells("bars", symbol="IBM", first=LIVED[0], last=LIVED[1])] == [
        f"session={LIVED[0]}",
        f"session={LIVED[1]}",
    ]


def test_indicators_leave_out_what_is_unknown(root: Path) -> None:
    assert cells("indicators", symbol="IBM") == [f"session={LIVED[2]} close=103.25 sma_50=98 rsi_14=61.5"]
    assert f"session={LIVED[0]}" in cells("indicators", symbol="IBM", session=LIVED[0])[0]


def test_regimes_are_shown_for_all_or_with_the_history_of_one(root: Path) -> None:
    everyone = cells("regimes")
    assert [line.split()[1] for line in everyone] == ["symbol=IBM", "symbol=MARKET"]
    own = cells("regimes", symbol="IBM", rows=2)
    assert len(own) == 3
    assert "strategy_view=trending_bull" in own[0]
    assert "liquidity=normal" in own[2]


def test_breadth_is_newest_first(root: Path) -> None:
    assert [line.split()[0] for line in cells("breadth", rows=2)] == [f"session={LIVED[2]}", f"session={LIVED[1]}"]


def test_headlines_are_quoted_and_never_the_desks_own_words(root: Path) -> None:
    shown = look("news", symbol="IBM").rows
    assert [each.quoted for each in shown] == [f"Newswire: {' '.join(LURE.split())}", "Newswire: Contract won"]
    assert all("SYSTEM" not in each.cells for each in shown)
    assert len(look("news").rows) == 3


def test_narratives_and_briefs_quote_what_agents_wrote(root: Path) -> None:
    assert quoted("narratives") == ["Big contracts"]
    assert [line.split()[1:3] for line in cells("briefs", symbol="IBM")] == [
        ["agent=breadth", "symbol=MARKET"],
        ["agent=technical", "symbol=IBM"],
    ]
    assert quoted("briefs", symbol="IBM") == ["The trend holds."] * 2


def test_the_account_tells_positions_and_the_open_halt(root: Path) -> None:
    shown = look("account")
    assert shown.rows[0].cells == f"session={LIVED[2]} equity=99707.1241 cash=99000.1234"
    assert shown.rows[1].cells.startswith("symbol=AAA quantity=7 cost=703.5343 close=101.0001 value=707.0007")
    assert "halted: operator: lunch" in shown.note


def test_a_plan_comes_with_what_the_signers_ruled(root: Path) -> None:
    (plan,) = look("plans", symbol="IBM", kind="enter").rows
    assert "entry=100.5 stop=95 target=110" in plan.cells
    assert plan.quoted == "IBM fell back to its mean.; risk_gate shrink 42 shares are 6.1% of equity."
    assert "action=exit" in cells("plans", symbol="IBM")[0], "without a kind the newest session that has plans"


def test_vetoes_are_those_of_the_newest_session_that_has_one(root: Path) -> None:
    (veto,) = look("vetoes").rows
    assert f"session={LIVED[1]}" in veto.cells
    assert "ruling=shrink quantity=30 controls=C4" in veto.cells
    assert look("vetoes", session=LIVED[2]).note == f"book desk has no veto in session {LIVED[2]}"


def test_votes_fills_and_stance_are_shown(root: Path) -> None:
    assert "persona=macro" in cells("votes")[0]
    assert "side=buy" in cells("fills")[0]
    assert "price=100.25" in cells("fills")[0]
    assert "stance=cautious size_fraction=0.5" in cells("stance")[0]


def test_theses_are_shown_as_they_stand_with_what_happened(root: Path) -> None:
    shown = look("theses", symbol="IBM").rows
    assert [each.quoted for each in shown] == ["IBM breaks out", "Technical agrees."]
    assert "confidence=0.71" in shown[0].cells
    assert "target=120.5" in shown[0].cells


def test_trades_are_newest_first_with_their_sum(root: Path) -> None:
    shown = look("trades")
    assert [line.split()[1] for line in (each.cells for each in shown.rows)] == ["symbol=IBM", "symbol=AAPL"]
    assert shown.note == "2 closed trades, 83.5 USD in all"


def test_lessons_are_those_of_the_ledger(root: Path) -> None:
    assert quoted("lessons", symbol="AAA", rows=1) == ["The plan was followed."]
    assert f"session={LIVED[2]}" in cells("lessons")[0]


def test_lessons_come_with_the_record_of_each_strategy_in_its_regime(root: Path) -> None:
    note = look("lessons").note
    assert re.search(r"\w+ in \w+: \d+ trades, win rate 0\.\d\d, ([+-]\d\.\d\d R a trade|no planned risk)", note)


def test_a_symbols_regime_comes_with_its_past(root: Path) -> None:
    assert re.search(
        r"\w+ for \d+ sessions; in the last 63 sessions: \w+ from \d{4}-\d\d-\d\d", look("regimes", symbol="IBM").note
    )


def test_the_journal_is_chosen_by_session_kind_and_symbol(root: Path) -> None:
    (entry,) = look("journal", session=LIVED[0], kind="veto", symbol="BBB").rows
    assert "kind=veto symbol=BBB" in entry.cells
    assert entry.quoted
    assert entry.quoted.startswith("entry vetoed, mean_reversion;")
    assert f"session={LIVED[2]}" in cells("journal")[0]


def test_costs_and_limits_are_shown(root: Path) -> None:
    assert "calls=0" in cells("costs", session=LIVED[0])[0]
    assert "of 5.0 USD that the day allows" in look("costs").note
    limits = "\n".join(cells("limits"))
    assert "position_fraction_max=0.05" in limits
    assert "strategies=momentum_breakout,mean_reversion,pullback" in limits


def test_each_lane_has_its_own_book_and_all_share_the_facts(root: Path) -> None:
    assert look("theses", lane=BACKTEST).note == "book backtest has no thesis"
    assert look("account", lane=BACKTEST).note.startswith("no session of book backtest is settled yet")
    assert len(look("bars", lane=BACKTEST, symbol="IBM").rows) == 3


@pytest.mark.parametrize("tool", ["bars", "regimes", "breadth", "news", "theses", "vetoes", "account"])
def test_what_is_newest_is_shown_however_old_it_is(root: Path, tool: str) -> None:
    decades_later = XNYS.session(XNYS.last).close
    needed: dict[str, Any] = {"symbol": "IBM"} if tool in {"bars", "regimes"} else {}
    assert look(tool, now=decades_later, **needed).rows


def test_a_veto_of_long_ago_is_found_behind_many_sessions_without_one(home: Home) -> None:
    days = XNYS.days[6000:6080]
    rulings = ["veto", *(["approve"] * 79)]
    put(
        VERDICTS,
        *(filled(VERDICTS, day, plan_id="p", ruling=r) for day, r in zip(days, rulings, strict=True)),
        lane=DESK,
    )
    (veto,) = look("vetoes", now=XNYS.session(days[-1]).close).rows
    assert f"session={days[0]}" in veto.cells


# Only what was knowable


@pytest.mark.parametrize("tool", [name for name in TOOLS if name not in {"costs", "limits"}])
def test_nothing_is_shown_before_it_was_knowable(root: Path, tool: str) -> None:
    needed: dict[str, Any] = {"symbol": "IBM"} if "symbol*" in {t.name: t.takes for t in catalogue()}[tool] else {}
    before = XNYS.session(LIVED[0]).open - timedelta(hours=3)
    assert look(tool, now=before, **needed).rows == ()
    assert look(tool, **needed).rows


def test_a_session_that_is_not_over_has_no_bar_and_no_close(root: Path) -> None:
    during = XNYS.session(LIVED[2]).close - timedelta(minutes=1)
    assert [line.split()[0] for line in cells("bars", symbol="IBM", now=during)][-1] == f"session={LIVED[1]}"
    assert f"session={LIVED[1]}" in look("account", now=during).rows[0].cells
    assert look("bars", symbol="IBM", first=NEXT, last=NEXT).rows == ()


def test_a_halt_that_came_later_is_not_told(root: Path) -> None:
    assert "not halted" in look("account", now=XNYS.session(LIVED[1]).close).note


# Small


@given(
    sizes=st.lists(st.tuples(st.integers(0, 900), st.none() | st.integers(1, 900)), max_size=60),
    most=st.integers(1, 60),
)
@settings(max_examples=25)
def test_an_answer_is_never_larger_than_its_bounds(sizes: list[tuple[int, int | None]], most: int) -> None:
    rows = [Row(cells="o" * own, quoted="w" * others if others else None) for own, others in sizes]
    shown = found(rows, most=most, empty="nothing", note="a note")
    assert len(shown.rows) <= min(most, ROWS_MAX)
    assert sum(len(r.cells) + len(r.quoted or "") for r in shown.rows) + len(shown.note) <= CHARACTERS_MAX
    assert shown.rows == tuple(rows[: len(shown.rows)])
    if rows and len(shown.rows) < len(rows):
        assert f"{len(shown.rows)} of {len(rows)} rows" in shown.note


def test_many_headlines_are_cut_and_the_note_says_so(home: Home) -> None:
    rows = [filled(NEWS, LIVED[2], symbol="IBM", item=str(at), headline="x" * 400, publisher="P") for at in range(80)]
    put(NEWS, *rows)
    shown = look("news", rows=30)
    assert 0 < len(shown.rows) <= 30
    assert f"{len(shown.rows)} of 80 rows" in shown.note
    assert all(len(each.quoted or "") <= 300 for each in shown.rows)
    assert sum(len(each.cells) + len(each.quoted or "") for each in shown.rows) <= CHARACTERS_MAX


def test_numbers_are_told_without_noise() -> None:
    assert [told(value) for value in (0.1 + 0.2, -0.00001, 1e7, 12.0, float("nan"))] == [
        "0.3",
        "0",
        "10000000",
        "12",
        "unknown",
    ]
    assert row({"a": None, "b": "", "c": 0}, "a", "b", "c", "d").cells == "c=0"


# Mistakes are sentences


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (ToolCall(tool="orders_send"), "there is no tool orders_send; there are bars, indicators"),
        (ToolCall(tool="bars"), "symbol: it needs this; it takes symbol, first, last, rows"),
        (ToolCall(tool="limits", symbol="IBM"), "symbol: it does not take this; it takes no argument"),
        (ToolCall(tool="bars", symbol="IBM", kind="veto"), "kind: it does not take this"),
        (ToolCall(tool="journal", kind="rumour"), "there is no such kind of journal entry"),
        (ToolCall(tool="plans", kind="hold"), "enter, add, trim, exit"),
        (ToolCall(tool="bars", symbol="TSLA"), "no bar of TSLA"),
        (ToolCall(tool="bars", symbol="IBM", first=NEXT, last=LIVED[0]), "no bar of IBM"),
        (ToolCall(tool="bars", symbol="IBM", last=date.min), "no bar of IBM"),
        (ToolCall(tool="news", last=date.min), "no headline"),
    ],
)
def test_a_wrong_call_gets_a_sentence_that_mends_it(root: Path, call: ToolCall, said: str) -> None:
    shown = use(desk(), call)
    assert shown.rows == ()
    assert said in shown.note


def test_a_damaged_lake_is_a_sentence_too(home: Home) -> None:
    lived()
    for path in (home.lake / "facts" / "daily_bars").glob("*.parquet"):
        path.write_bytes(b"garbage")
    shown = look("bars", symbol="IBM")
    assert shown.rows == ()
    assert "\n" not in shown.note
    assert len(shown.note) <= 400


@given(
    call=st.builds(
        ToolCall,
        tool=st.sampled_from([*TOOLS, "nothing_of_the_kind"]),
        symbol=st.none() | st.sampled_from(["IBM", "AAA", "MARKET", "ZZZZ"]),
        session=st.none() | st.sampled_from([*LIVED, date(1990, 1, 1), date(2099, 12, 31)]),
        first=st.none() | st.sampled_from([*LIVED, date.min, date.max]),
        last=st.none() | st.sampled_from([*LIVED, date.min, date.max]),
        kind=st.none() | st.sampled_from(["enter", "veto", "model", "x"]),
        rows=st.none() | st.integers(1, 30),
    )
)
@settings(max_examples=25, deadline=None)
def test_whatever_is_asked_the_answer_is_bounded_and_nothing_raises(root: Path, call: ToolCall) -> None:
    shown = use(desk(), call)
    assert len(shown.rows) <= ROWS_MAX
    assert shown.rows or shown.note
    assert sum(len(each.cells) + len(each.quoted or "") for each in shown.rows) <= CHARACTERS_MAX
    assert worded(call).startswith(call.tool)


# Nobody writes


def everything(root: Path) -> dict[str, str]:
    """A digest of every file of the lake and of every row of every ledger."""
    files = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in (root / "lake").rglob("*.parquet")}
    for path in (root / "ledger").glob("*.sqlite"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            files[str(path)] = hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()
    return files


def test_no_tool_writes_anything(root: Path) -> None:
    look("account", lane=BACKTEST)
    before = everything(root)
    assert len(before) > 15
    for tool in catalogue():
        for lane in (DESK, BACKTEST):
            needed: dict[str, Any] = {"symbol": "IBM"} if "symbol*" in tool.takes else {}
            look(tool.name, lane=lane, **needed)
    assert everything(root) == before


def test_the_catalogue_names_every_tool_with_its_arguments() -> None:
    tools = {tool.name: tool.takes for tool in catalogue()}
    assert tools.keys() == TOOLS.keys()
    assert tools["bars"] == ("symbol*", "first", "last", "rows")
    assert tools["limits"] == ()
    assert {name.rstrip("*") for takes in tools.values() for name in takes} <= set(ToolCall.model_fields)


def test_the_settings_of_the_desk_say_what_it_trades(root: Path) -> None:
    assert desk().symbols == DeskResource().settings().market.symbols
    assert desk().today == NEXT
