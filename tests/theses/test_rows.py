"""The graph as rows of its four tables, and edges back."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from tests.theses.graphs import DAY, facts_at, give_up, hold, quoted, slot_after, slot_of, step, voice
from trading_assets.core.slots import Slot
from trading_assets.theses.graph import Advanced
from trading_assets.theses.model import THESES, THESIS_EDGES, THESIS_EVENTS, THESIS_SCORES, Mind, Reliability
from trading_assets.theses.rows import edge_rows, edges_from_rows, event_rows, score_rows, thesis_rows

_NEXT = slot_after(1)


def _formed() -> Advanced:
    facts = facts_at(slot_of(), correlations={("AAA", "BBB"): 0.7})
    updates = [hold(), hold("BBB"), hold("CCC")]
    return step(Mind(), slot_of(), facts, updates=updates, voices=[voice(0.5), voice(0.3, symbol="BBB")])


def _ended() -> Advanced:
    facts = facts_at(_NEXT, *(quoted(s, _NEXT, high=107.0 if s == "AAA" else 101.0) for s in ("AAA", "BBB", "CCC")))
    return step(_formed().mind, _NEXT, facts, updates=[give_up("CCC")], voices=[voice(-0.4, symbol="BBB")])


def _theses(done: Advanced, slot: Slot) -> list[dict[str, Any]]:
    return THESES.frame(thesis_rows(done.mind, done.ended, slot)).sort("symbol").rows(named=True)


def test_live_theses_become_rows_with_everything_that_a_person_asks_for() -> None:
    done = _formed()
    rows = _theses(done, slot_of())
    assert [row["thesis_id"] for row in rows] == [thesis.id for thesis in done.mind.theses]
    for row, thesis in zip(rows, done.mind.theses, strict=True):
        for name in ("symbol", "direction", "claim", "horizon", "formed", "expires", "confidence", "confidence_formed"):
            assert row[name] == getattr(thesis, name)
        assert (row["reference"], row["target"], row["invalidation"]) == (
            thesis.reference,
            thesis.target,
            thesis.invalidation,
        )
        assert (row["session"], row["slot"], row["knowable_at"]) == (DAY, "09:30", slot_of().at)
        assert (row["status"], row["outcome"], row["author"], row["regime"]) == (thesis.status, "", "rules", "mixed")


def test_a_thesis_that_ended_stands_in_the_slots_rows_with_its_outcome() -> None:
    rows = _theses(_ended(), _NEXT)
    assert [(row["symbol"], row["status"], row["outcome"]) for row in rows] == [
        ("AAA", "ended", "confirmed"),
        ("BBB", "weak", ""),
        ("CCC", "ended", "given_up"),
    ]


def test_contributions_tell_first_and_last_words_and_what_they_count_now() -> None:
    done = _ended()
    row = next(row for row in _theses(done, _NEXT) if row["symbol"] == "BBB")
    (said,) = json.loads(row["contributions"])
    assert (said["source"], said["first_log_odds"], said["log_odds"]) == ("technical", 0.36, -0.48)
    assert (said["first_at"], said["at"]) == (slot_of().at.isoformat(), _NEXT.at.isoformat())
    assert said["counts"] == -0.48
    damped = done.mind.model_copy(update={"reliability": {"technical": Reliability(certain=8)}})
    row = next(row for row in thesis_rows(damped, (), _NEXT) if row["symbol"] == "BBB")
    assert json.loads(str(row["contributions"]))[0]["counts"] == -0.24


def test_events_keep_their_order_and_name_the_symbol() -> None:
    done = _ended()
    rows = event_rows(done.events, (*done.mind.theses, *done.ended), _NEXT)
    frame = THESIS_EVENTS.frame(rows)
    assert frame["number"].to_list() == [1, 2, 3]
    assert [(row["symbol"], row["kind"]) for row in frame.rows(named=True)] == [
        ("AAA", "confirmed"),
        ("CCC", "given_up"),
        ("BBB", "contradicted"),
    ]
    assert "107.00 on 2012-06-15 reached 106.00" in frame["sentence"][0]


def test_an_event_of_a_thesis_that_nobody_handed_in_is_an_error() -> None:
    with pytest.raises(KeyError):
        event_rows(_ended().events, (), _NEXT)


def test_edges_become_rows_and_edges_again() -> None:
    mind = _formed().mind
    frame = THESIS_EDGES.frame(edge_rows(mind, slot_of()))
    assert frame.height == len(mind.edges) == 2
    assert edges_from_rows(frame.rows(named=True)) == mind.edges
    with pytest.raises(ValidationError):
        edges_from_rows([{**frame.row(0, named=True), "weight": 2.0}])


def test_scores_become_rows() -> None:
    done = _ended()
    frame = THESIS_SCORES.frame(score_rows(done.scores, _NEXT))
    assert [(row["symbol"], row["source"], row["came_true"]) for row in frame.rows(named=True)] == [
        ("AAA", "technical", True),
        ("AAA", "thesis", True),
    ]


def test_nothing_becomes_empty_tables() -> None:
    assert THESES.frame(thesis_rows(Mind(), (), slot_of())).is_empty()
    assert THESIS_EVENTS.frame(event_rows((), (), slot_of())).is_empty()
