"""`desk theses`: what the lake holds of a book's beliefs, told in tables, one JSON object and one picture."""

import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from desk.theses import run_theses
from resources.desk import DeskResource
from tests.orchestration.homes import Said, living_in
from tests.theses.graphs import DAY, SYMBOLS, facts_at, give_up, hold, quoted, slot_after, slot_of, step, voice
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.core.slots import Slot
from trading_assets.theses.graph import Advanced
from trading_assets.theses.model import THESES, THESIS_EDGES, THESIS_EVENTS, THESIS_SCORES, Mind
from trading_assets.theses.relations import ordered
from trading_assets.theses.rows import edge_rows, event_rows, score_rows, thesis_rows

LANE = "backtest"
_NOON, _SECOND = slot_of(label="10:30"), slot_after(1)


def _told(done: Advanced, slot: Slot) -> dict[str, list[dict[str, object]]]:
    return {
        THESES.name: thesis_rows(done.mind, done.ended, slot),
        THESIS_EDGES.name: edge_rows(done.mind, slot),
        THESIS_EVENTS.name: event_rows(done.events, (*done.mind.theses, *done.ended), slot),
        THESIS_SCORES.name: score_rows(done.scores, slot),
    }


def _lived() -> dict[str, list[dict[str, object]]]:
    """Three slots of two sessions: three theses are formed, one of them comes true, one is given up."""
    facts = facts_at(slot_of(), correlations={("AAA", "BBB"): 0.7})
    voices = [voice(0.5), voice(0.4, symbol="BBB"), voice(-0.5, 0.9, source="news", symbol="CCC")]
    updates = [hold(), hold("BBB"), hold("CCC", "short")]
    first = step(Mind(), slot_of(), facts, updates=updates, voices=voices)
    mind = ordered(first.mind, first.mind.theses[0].id, "0123456789abcdef", DAY)
    noon = step(mind, _NOON)
    rising = [quoted(s, _SECOND, high=107.0 if s == "BBB" else 101.0) for s in SYMBOLS]
    second = step(
        noon.mind, _SECOND, facts_at(_SECOND, *rising), voices=[voice(0.5)], updates=[give_up("CCC", "short")]
    )
    rows: dict[str, list[dict[str, object]]] = {}
    for done, slot in ((first, slot_of()), (noon, _NOON), (second, _SECOND)):
        for name, some in _told(done, slot).items():
            rows.setdefault(name, []).extend(some)
    return rows


@pytest.fixture
def lived_in(home: Home) -> Iterator[Home]:
    """A home whose backtest held theses on two days."""
    rows = _lived()
    with living_in(home.root, clock="2012-06-30T12:00:00-04:00") as place:
        lake = DeskResource().lake()
        for table in (THESES, THESIS_EDGES, THESIS_EVENTS, THESIS_SCORES):
            lake.write(table, table.frame(rows[table.name]), Span(DAY, _SECOND.session.day), lane=LANE)
        yield place


def said(*, as_json: bool = False, **asked: Any) -> Said:
    given = {"lane": LANE, "session": None, "symbol": "", "history": False, "graph": None, **asked}
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        run_theses(given.pop("lane"), given.pop("session"), given.pop("symbol"), **given, as_json=as_json)
    return Said(0, out.getvalue(), err.getvalue())


def told(**asked: Any) -> dict[str, Any]:
    text = said(as_json=True, **asked).out
    assert text.count("\n") == 1
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_the_newest_slot_is_told_with_what_lives_and_what_ended(lived_in: Home) -> None:
    data = told()
    assert (data["lane"], data["session"], data["slot"]) == (LANE, str(_SECOND.session.day), "09:30")
    assert [(row["symbol"], row["direction"], row["status"]) for row in data["theses"]] == [("AAA", "long", "active")]
    assert [(row["symbol"], row["outcome"]) for row in data["ended"]] == [("BBB", "confirmed"), ("CCC", "given_up")]
    assert data["theses"][0]["contributions"][0]["source"] == "technical"
    assert [event["kind"] for event in data["events"]] == ["confirmed", "given_up", "reinforced"]


def test_an_earlier_session_is_told_as_of_its_last_slot(lived_in: Home) -> None:
    data = told(session=DAY)
    assert (data["session"], data["slot"]) == (str(DAY), "10:30")
    assert [row["symbol"] for row in data["theses"]] == ["AAA", "BBB", "CCC"]
    assert data["calibration"]["by_source"] == [], "nothing had ended by then"
    assert data["events"] == []


def test_relations_name_both_ends(lived_in: Home) -> None:
    edges = told(session=DAY)["edges"]
    assert [(edge["kind"], edge["source_name"], edge["target_name"]) for edge in edges] == [
        ("correlated", "AAA long", "BBB long"),
        ("ordered_as", "AAA long", ""),
        ("supports", "AAA long", "BBB long"),
    ]
    only = told(session=DAY, symbol="bbb")
    assert [edge["source_name"] for edge in only["edges"]] == ["AAA long", "AAA long"]
    assert [row["symbol"] for row in only["theses"]] == ["BBB"]


def test_history_tells_confidence_slot_by_slot_and_all_events(lived_in: Home) -> None:
    data = told(history=True, symbol="AAA")
    assert [(row["session"], row["slot"]) for row in data["history"]] == [
        (str(DAY), "09:30"),
        (str(DAY), "10:30"),
        (str(_SECOND.session.day), "09:30"),
    ]
    assert [event["kind"] for event in data["events"]] == ["formed", "reinforced"]
    confidence = [row["confidence"] for row in data["history"]]
    assert confidence[1] < confidence[0] < confidence[2]


def test_calibration_counts_what_ended_by_source_and_by_regime(lived_in: Home) -> None:
    groups = told()["calibration"]
    assert [(row["group"], row["n"], row["true"]) for row in groups["by_source"]] == [
        ("technical", 1, 1.0),
        ("thesis", 1, 1.0),
    ]
    assert [(row["group"], row["n"]) for row in groups["by_regime"]] == [("mixed", 1)]


def test_the_graph_is_drawn_where_it_is_asked_for(lived_in: Home, tmp_path: Path) -> None:
    path = tmp_path / "graph.png"
    assert told(session=DAY, graph=path)["graph"] == str(path.resolve())
    assert path.read_bytes().startswith(b"\x89PNG")
    whole = path.read_bytes()
    assert f"drawn into {path}" in said(session=DAY, symbol="BBB", graph=path).err
    assert path.read_bytes() != whole, "only what is asked for is drawn"


def test_a_graph_that_cannot_be_written_is_a_sentence(lived_in: Home, tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match=r"PNG file.*--graph graph.png"):
        said(graph=tmp_path / "graph.pdf")
    with pytest.raises(PermanentFailure, match=r"cannot be written: No such file"):
        said(graph=tmp_path / "nowhere" / "graph.png")


def test_a_person_sees_theses_relations_events_and_calibration(lived_in: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = said(session=DAY, history=True).out
    for words in (
        f"Theses of book {LANE} after slot 10:30 of {DAY}",
        "technical +0.5",
        "106.00",
        "How they stand to each other",
        "ordered as",
        "0123456789abcdef",
        "formed",
        "▅",
    ):
        assert words in out
    newest = said().out
    assert "Calibration by source" in newest
    assert "107.00 on 2012-06-15 reached 106.00" in newest


def test_nothing_after_the_desks_clock_is_told(lived_in: Home) -> None:
    with living_in(lived_in.root, clock="2012-06-15T09:45:00-04:00"):
        assert (told()["session"], told()["slot"]) == (str(DAY), "09:30")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"lane": "desk"}, r"no thesis was ever formed in book desk.*desk decide"),
        ({"session": date(2012, 6, 14)}, r"no thesis was ever formed in book backtest up to 2012-06-14.*desk backtest"),
        ({"session": date(2012, 6, 20)}, r"no thesis in that session.*--session 2012-06-18"),
    ],
)
def test_where_there_is_nothing_the_next_command_is_named(lived_in: Home, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(DataNotReady, match=words):
        said(**asked)


def test_a_symbol_without_a_thesis_is_refused_with_those_that_have_one(lived_in: Home) -> None:
    with pytest.raises(PermanentFailure, match=r"no thesis on ZZZ.*AAA, BBB, CCC"):
        said(symbol="zzz", session=DAY)
