"""Minds, lessons, proposals and remarks on real databases: what is stored comes back, once, told in the journal, or not at all."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger.engine import reading
from resources.ledger.journal import read_journal
from resources.ledger.journal_files import JournalFiles, names_of
from resources.ledger.schema import LESSONS, MINDS, PROPOSALS
from resources.ledger.store import SqlLedger
from resources.ledger.verify import verify_ledger
from tests.resources.ledger.entries import DAYS, EVER, at, decided, decision
from tests.resources.ledger.journaled import HOSTILE, remembering_week, unguarded
from tests.resources.ledger.thoughts import lesson, mind, proposal
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DuplicateDecision, PermanentFailure
from trading_assets.core.journal import Record, sha256
from trading_assets.execution.ports import Decision, Remark
from trading_assets.execution.remembering import TITLE_MAX, mind_digest, mind_text, remark_entries
from trading_assets.theses.model import Mind, Reliability

LATER = datetime(2100, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def rows(engine: sa.Engine, table: sa.Table) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.seq)))


def thinking(day: date, thought: Mind, slot: str = "09:30") -> Decision:
    """A decision that leaves a mind behind."""
    return replace(decision(day, slot), mind_digest=mind_digest(thought))


def think(book: SqlLedger, position: int, number: int = 0) -> Mind:
    thought = mind(DAYS[position], number)
    with book.session() as ledger:
        ledger.add_decision(thinking(DAYS[position], thought), [], [], [], mind=thought)
    return thought


def noted(engine: sa.Engine, of: str) -> list[Record]:
    """Journal entries of one sort of note."""
    return [record for record in read_journal(engine, kind="note") if record.entry.body.get("of") == of]


# Minds


def test_a_mind_comes_back_as_it_was(book: SqlLedger) -> None:
    thought = think(book, 0)
    with book.session() as ledger:
        found = ledger.mind(LATER)
    assert found == thought
    assert mind_text(found) == mind_text(thought)
    assert mind_digest(found) == mind_digest(thought)


def test_a_book_that_never_thought_has_an_empty_mind(book: SqlLedger) -> None:
    with book.session() as ledger:
        assert ledger.mind(LATER) == Mind()
        ledger.add_decision(decision(DAYS[0]), [], [], [])
        assert ledger.mind(LATER) == Mind()


def test_the_mind_is_that_of_the_newest_slot_before(book: SqlLedger) -> None:
    first, second = think(book, 0, 1), think(book, 1, 2)
    with book.session() as ledger:
        assert ledger.mind(at(DAYS[0])) == Mind(), "a slot does not see the mind that it will leave behind"
        assert ledger.mind(at(DAYS[0]) + TICK) == first
        assert ledger.mind(at(DAYS[1])) == first
        assert ledger.mind(at(DAYS[1]) + TICK) == second


def test_an_idle_slot_leaves_no_mind_and_hides_none(book: SqlLedger, engine: sa.Engine) -> None:
    first = think(book, 0)
    with book.session() as ledger:
        ledger.add_decision(decision(DAYS[0], "10:00"), [], [], [])
        assert ledger.mind(LATER) == first
    assert len(rows(engine, MINDS)) == 1


def test_each_book_has_a_mind_of_its_own(book: SqlLedger, engine: sa.Engine) -> None:
    think(book, 0)
    with SqlLedger(engine, "other").reading() as ledger:
        assert ledger.mind(LATER) == Mind()


def test_a_decision_names_the_mind_that_it_leaves_behind(book: SqlLedger, engine: sa.Engine) -> None:
    thought = think(book, 0)
    (row,) = rows(engine, MINDS)
    assert (row.book, row.session, row.slot, row.digest) == ("desk", DAYS[0], "09:30", mind_digest(thought))
    assert sha256(row.mind) == row.digest
    with book.session() as ledger:
        assert ledger.decisions(*EVER) == [thinking(DAYS[0], thought)]
    entry = read_journal(engine, kind="decision")[0].entry
    assert entry.body["mind_digest"] == row.digest


@pytest.mark.parametrize("case", ["another mind", "a mind without its digest", "a digest without a mind"])
def test_a_decision_that_names_another_mind_is_refused_whole(book: SqlLedger, engine: sa.Engine, case: str) -> None:
    thought, other = mind(DAYS[0], 1), mind(DAYS[0], 2)
    wrong, kept = {
        "another mind": (thinking(DAYS[0], other), thought),
        "a mind without its digest": (decision(DAYS[0]), thought),
        "a digest without a mind": (thinking(DAYS[0], thought), None),
    }[case]
    with pytest.raises(PermanentFailure, match="names another mind"), book.session() as ledger:
        ledger.add_decision(wrong, [], [], [], mind=kept)
    with book.session() as ledger:
        assert ledger.decisions(*EVER) == []
    assert rows(engine, MINDS) == []


def test_a_slot_that_is_decided_already_keeps_its_mind(book: SqlLedger) -> None:
    first, second = think(book, 0, 1), mind(DAYS[0], 2)
    with pytest.raises(DuplicateDecision), book.session() as ledger:
        ledger.add_decision(thinking(DAYS[0], second), [], [], [], mind=second)
    with book.session() as ledger:
        assert ledger.mind(LATER) == first


def test_a_damaged_mind_is_refused_and_never_decided_on(book: SqlLedger, engine: sa.Engine) -> None:
    think(book, 0)
    with engine.begin() as connection:
        unguarded(connection)
        connection.execute(MINDS.update().values(mind=mind_text(mind(DAYS[0], 7))))
    with pytest.raises(PermanentFailure, match=r"slot 09:30 .* is damaged.*--verify-ledger"), book.reading() as ledger:
        ledger.mind(LATER)


@settings(max_examples=20, deadline=None)
@given(
    number=st.integers(0, 10**6),
    said=st.floats(0, 1e6),
    name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)
def test_any_mind_is_the_same_after_its_text(number: int, said: float, name: str) -> None:
    """No float, name or order is lost between a slot and the next: the digest of what comes back is the same."""
    own = Reliability(theses=number, said_sum=said)
    one = mind(DAYS[0], number).model_copy(update={"reliability": {name: own, "technical": Reliability()}})
    other = mind(DAYS[0], number).model_copy(update={"reliability": {"technical": Reliability(), name: own}})
    back = Mind.model_validate_json(mind_text(one))
    assert mind_text(back) == mind_text(one)
    if name != "technical":
        assert mind_digest(one) == mind_digest(other)


# Remarks


def test_remarks_are_entries_of_their_slot(book: SqlLedger, engine: sa.Engine) -> None:
    told = [
        Remark("news silent", "the route answered nothing"),
        Remark("technical not believed", "rsi_14 is 50", "AAA"),
    ]
    with book.session() as ledger:
        ledger.add_decision(decision(DAYS[0]), [], [], [], remarks=told)
    entries = [record.entry for record in noted(engine, "remark")]
    assert [(entry.title, entry.symbol, entry.body["sentence"]) for entry in entries] == [
        ("news silent", "", "the route answered nothing"),
        ("technical not believed", "AAA", "rsi_14 is 50"),
    ]
    assert {entry.correlation_id for entry in entries} == {f"desk/{DAYS[0]}/09:30"}
    assert {entry.at for entry in entries} == {at(DAYS[0])}


def test_words_of_agents_are_kept_whatever_they_hold(book: SqlLedger, engine: sa.Engine) -> None:
    hostile = [f"{words}\n# a heading\0\ud800" for words in HOSTILE]
    with book.session() as ledger:
        told = [Remark(words, words, words) for words in hostile]
        ledger.add_decision(decision(DAYS[0]), [], [], [], remarks=told)
    entries = [record.entry for record in noted(engine, "remark")]
    assert [entry.body["sentence"] for entry in entries] == hostile
    for entry in entries:
        assert not {"\n", "\0", "\ud800"} & set(entry.title + entry.symbol)
    assert verify_ledger(engine, head=None).problems == ()


def test_a_long_title_is_cut() -> None:
    (entry,) = remark_entries(decision(DAYS[0]), [Remark("x" * 500, "")], book="desk")
    assert len(entry.title) == TITLE_MAX


# Lessons


def test_a_lesson_comes_back_when_it_was_knowable(book: SqlLedger) -> None:
    early, late = lesson(DAYS[0], trade="a"), lesson(DAYS[2], trade="b")
    with book.session() as ledger:
        ledger.add_lessons([late, early])
        assert ledger.lessons(early.resolved_at - TICK) == []
        assert ledger.lessons(early.resolved_at) == [early]
        assert ledger.lessons(LATER) == [early, late]


def test_a_trade_keeps_its_first_lesson_and_tells_it_once(book: SqlLedger, engine: sa.Engine) -> None:
    first = lesson(DAYS[0], trade="a")
    for text in (first.lesson, "Another opinion."):
        with book.session() as ledger:
            ledger.add_lessons([first.model_copy(update={"lesson": text}), lesson(DAYS[0], trade=f"b{text[:3]}")])
    with book.session() as ledger:
        assert [each.lesson for each in ledger.lessons(LATER) if each.id == "a"] == ["The plan was followed."]
    assert len(rows(engine, LESSONS)) == len(noted(engine, "lesson")) == 3
    assert verify_ledger(engine, head=None).problems == ()


def test_a_lesson_is_told_under_the_decision_that_opened_its_trade(book: SqlLedger, engine: sa.Engine) -> None:
    decided(book, DAYS[0], slot="10:30")
    of_it = lesson(DAYS[0]).model_copy(update={"id": _intent_id(book), "session": DAYS[3]})
    with book.session() as ledger:
        ledger.add_lessons([of_it, lesson(DAYS[0], trade="nobody's")])
    told = {record.entry.body["lesson"]["id"]: record.entry for record in noted(engine, "lesson")}  # type: ignore[index,call-overload]
    assert told[of_it.id].correlation_id == f"desk/{DAYS[0]}/10:30"
    assert told["nobody's"].correlation_id == ""
    assert told[of_it.id].title == "lesson, grade A, momentum_breakout"
    assert told[of_it.id].session == DAYS[3]


def _intent_id(book: SqlLedger) -> str:
    with book.reading() as ledger:
        return ledger.intents(date.max)[-1].id


def test_no_lessons_are_no_work(book: SqlLedger, engine: sa.Engine) -> None:
    with book.session() as ledger:
        ledger.add_lessons([])
    assert rows(engine, LESSONS) == []


# Proposals


def test_a_proposal_waits_between_two_instants(book: SqlLedger) -> None:
    moment = at(DAYS[0])
    wanted = proposal(moment)
    with book.session() as ledger:
        ledger.propose(wanted)
        assert ledger.proposals(moment - TICK, moment) == [wanted]
        assert ledger.proposals(moment, LATER) == [], "after is not part of the stretch"
        assert ledger.proposals(moment - timedelta(days=1), moment - TICK) == []


def test_the_same_proposal_twice_is_one_and_another_of_its_id_is_refused(book: SqlLedger, engine: sa.Engine) -> None:
    wanted = proposal(at(DAYS[0]))
    for _ in range(2):
        with book.session() as ledger:
            ledger.propose(wanted)
    with pytest.raises(PermanentFailure, match="another proposal has this id"), book.session() as ledger:
        ledger.propose(proposal(at(DAYS[0]), reason="it is dear"))
    assert len(rows(engine, PROPOSALS)) == 1
    (record,) = noted(engine, "proposal")
    assert (record.entry.title, record.entry.symbol) == ("proposed long, pullback", "AAA")
    assert record.entry.session == DAYS[0]


def test_a_proposal_at_night_belongs_to_the_day_in_new_york(book: SqlLedger, engine: sa.Engine) -> None:
    night = datetime(2024, 3, 6, 2, 0, tzinfo=UTC)
    with book.session() as ledger:
        ledger.propose(proposal(night))
    assert noted(engine, "proposal")[0].entry.session == date(2024, 3, 5)


# All of it


def test_a_transaction_that_fails_remembers_nothing(book: SqlLedger, engine: sa.Engine) -> None:
    thought = mind(DAYS[0])

    def remember_and_stumble() -> None:
        with book.session() as ledger:
            ledger.add_decision(thinking(DAYS[0], thought), [], [], [], mind=thought, remarks=[Remark("a", "b")])
            ledger.add_lessons([lesson(DAYS[0])])
            ledger.propose(proposal(at(DAYS[0])))
            raise KeyError("a bug after the ledger was written")

    with pytest.raises(KeyError):
        remember_and_stumble()
    assert [rows(engine, table) for table in (MINDS, LESSONS, PROPOSALS)] == [[], [], []]
    assert read_journal(engine) == ()


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_backtest_that_is_walked_again_forgets_what_it_thought_from_there_on(engine: sa.Engine, first: int) -> None:
    remembering_week(engine, "backtest")
    book = SqlLedger(engine, "backtest")
    with book.session() as ledger:
        ledger.rewind(DAYS[first])
    with book.reading() as ledger:
        thought = ledger.mind(LATER)
        assert [each.session for each in ledger.lessons(LATER)] == list(DAYS[:first])
        kept = ledger.proposals(datetime(1990, 1, 1, tzinfo=UTC), LATER)
    assert thought == (mind(DAYS[first - 1], first - 1) if first else Mind())
    assert len(kept) == first
    assert verify_ledger(engine, head=None).problems == ()


def test_a_rewind_to_the_beginning_forgets_everything(engine: sa.Engine) -> None:
    remembering_week(engine, "backtest")
    with SqlLedger(engine, "backtest").session() as ledger:
        ledger.rewind(date.min)
    assert [rows(engine, table) for table in (MINDS, LESSONS, PROPOSALS)] == [[], [], []]
    assert verify_ledger(engine, head=None).problems == ()


def test_an_entry_of_a_slot_without_a_mind_is_what_it_was_before_there_were_minds(
    book: SqlLedger, engine: sa.Engine
) -> None:
    """A ledger of an earlier version is proven as it stands."""
    decided(book, DAYS[0])
    assert "mind_digest" not in read_journal(engine, kind="decision")[0].entry.body


def test_each_thing_that_is_remembered_has_a_page(engine: sa.Engine, tmp_path: Any) -> None:
    teller = remembering_week(engine, days=DAYS[:1])
    files = JournalFiles(tmp_path / "journal")
    files.write_after_commit(teller.records)
    pages = {
        record.entry.body["of"]: names_of(files.folder, record.entry, record.seq)[0].read_text()
        for record in teller.records
        if record.entry.kind == "note"
    }
    assert "The plan was followed." in pages["lesson"]
    assert "Grade A" in pages["lesson"]
    assert "1.5 R" in pages["lesson"]
    assert "operator asks for a long position by pullback" in pages["proposal"]
    assert "it is cheap" in pages["proposal"]
    assert "none" in pages["remark"]


def test_a_closed_day_has_its_lessons_in_the_order_in_which_they_became_known(book: SqlLedger) -> None:
    with book.session() as ledger:
        ledger.add_lessons([lesson(DAYS[1], trade="c"), lesson(DAYS[1], trade="a"), lesson(DAYS[0], trade="b")])
        assert [each.id for each in ledger.lessons(XNYS.session(DAYS[1]).close)] == ["b", "c", "a"]


def test_a_stored_lesson_is_json_that_anybody_can_read(book: SqlLedger, engine: sa.Engine) -> None:
    with book.session() as ledger:
        ledger.add_lessons([lesson(DAYS[0])])
    (row,) = rows(engine, LESSONS)
    assert json.loads(row.lesson)["pnl"] == "12.3456"
