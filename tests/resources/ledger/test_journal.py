"""The journal's chain on both databases: nothing is lost, doubled, altered or reordered without its hash saying so."""

import hashlib
import json
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger.engine import open_ledger, reading, transaction
from resources.ledger.journal import (
    append_entries,
    as_stored,
    forget_entries,
    hash_of,
    last_link,
    newest_session,
    read_journal,
    stream_records,
)
from resources.ledger.schema import JOURNAL
from resources.ledger.verify import verify_ledger
from tests.resources.ledger.entries import DAYS, at, python
from tests.resources.ledger.journaled import HOSTILE, Teller, appended, day_of_trading, desk_week, note
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import GENESIS, KINDS, Entry, Record, canonical, link


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> sa.Engine:
    """One file for all examples of a property."""
    return open_ledger(tmp_path_factory.mktemp("scratch") / "l.sqlite", durability="NORMAL")


def all_records(engine: sa.Engine) -> tuple[Record, ...]:
    with reading(engine) as connection:
        return tuple(stream_records(connection))


# Appending


def test_entries_are_numbered_from_one_and_each_holds_the_hash_before_it(engine: sa.Engine) -> None:
    records = (*appended(engine, [note(0), note(1)]), *appended(engine, [note(2)]))
    assert [record.seq for record in records] == [1, 2, 3]
    assert [record.previous for record in records] == [GENESIS, records[0].hash, records[1].hash]
    assert all_records(engine) == records


def test_an_empty_batch_changes_nothing(engine: sa.Engine) -> None:
    assert appended(engine, []) == ()
    with reading(engine) as connection:
        assert last_link(connection) == (0, GENESIS)
        assert hash_of(connection, 1) is None
    assert newest_session(engine) is None


def test_entries_appended_one_by_one_or_at_once_make_the_same_chain(engine: sa.Engine, tmp_path: Path) -> None:
    entries = [note(number) for number in range(5)]
    for entry in entries:
        appended(engine, [entry])
    other = open_ledger(tmp_path / "other.sqlite", durability="NORMAL")
    assert appended(other, entries) == all_records(engine)


def test_entries_of_a_transaction_that_fails_are_not_in_the_chain(engine: sa.Engine) -> None:
    appended(engine, [note(0)])

    def stumble() -> None:
        with transaction(engine) as connection:
            append_entries(connection, [note(1)])
            raise KeyError("a bug after the journal was written")

    with pytest.raises(KeyError):
        stumble()
    assert [record.seq for record in appended(engine, [note(2)])] == [2]
    assert [record.entry.title for record in all_records(engine)] == ["note 0", "note 2"]


def test_the_chain_can_be_computed_with_nothing_but_the_rows(path: Path) -> None:
    """What docs/ledger.md promises: a few lines with the standard library prove the chain."""
    desk_week(open_ledger(path, durability="FULL"))
    names = ("seq", "book", "session", "at", "kind", "symbol", "title", "body", "correlation_id")
    previous = "0" * 64
    with sqlite3.connect(path) as file:
        rows = file.execute(f"select {', '.join(names)}, previous, hash from journal order by seq").fetchall()
    for *fields, before, mark in rows:
        text = json.dumps(dict(zip(names, fields, strict=True)), sort_keys=True, separators=(",", ":"))
        assert before == previous
        previous = hashlib.sha256((before + text).encode()).hexdigest()
        assert mark == previous
    assert len(rows) > 20


@pytest.mark.parametrize("field", ["book", "session", "at", "kind", "symbol", "title", "body", "correlation_id"])
def test_every_field_is_part_of_the_hash(path: Path, field: str, tmp_path: Path) -> None:
    engine = open_ledger(path, durability="NORMAL")
    other: dict[str, Any] = {
        "book": "other",
        "session": DAYS[1],
        "at": at(DAYS[0]) + timedelta(microseconds=1),
        "kind": "model",
        "symbol": "A",
        "title": "t",
        "body": {"number": 1},
        "correlation_id": "c",
    }
    second = open_ledger(tmp_path / "second.sqlite", durability="NORMAL")
    (one,) = appended(engine, [note(0)])
    (two,) = appended(second, [note(0, **{field: other[field]})])
    assert one.hash != two.hash


def test_moving_words_between_fields_changes_the_hash() -> None:
    assert link(GENESIS, {"title": "ab", "symbol": "c"}) != link(GENESIS, {"title": "a", "symbol": "bc"})
    assert link("a", {"seq": 1}) != link("b", {"seq": 1})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
WORDS = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=25, deadline=None)
@given(
    body=st.dictionaries(st.text(), JSON, max_size=5),
    title=WORDS,
    symbol=WORDS,
    cause=WORDS,
    kind=st.sampled_from(KINDS),
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.sampled_from([UTC, NEW_YORK])),  # noqa: DTZ001
)
def test_any_entry_comes_back_as_it_was(
    scratch: sa.Engine, body: dict[str, Any], title: str, symbol: str, cause: str, kind: Any, moment: datetime
) -> None:
    entry = Entry("desk", DAYS[0], moment, kind, title, body, symbol, cause)
    (made,) = appended(scratch, [entry])
    with reading(scratch) as connection:
        (back,) = stream_records(connection, after=made.seq - 1)
    assert back == replace(made, entry=as_stored(entry))


def test_words_of_any_script_are_kept(engine: sa.Engine) -> None:
    entries = [note(number, symbol=word, body={"said": word}) for number, word in enumerate(HOSTILE)]
    appended(engine, entries)
    assert [record.entry.symbol for record in all_records(engine)] == list(HOSTILE)
    assert [record.entry.body["said"] for record in all_records(engine)] == list(HOSTILE)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"title": "a\0b"}, "title cannot be kept"),
        ({"title": "two\nlines"}, "title cannot be kept"),
        ({"symbol": "\ud800"}, "symbol cannot be kept"),
        ({"correlation_id": "\r"}, "correlation_id cannot be kept"),
        ({"book": "\0"}, "book cannot be kept"),
        ({"kind": "rumour"}, "kind cannot be kept"),
        ({"at": datetime(2024, 1, 2, 3)}, "instant cannot be kept"),  # noqa: DTZ001
        ({"session": datetime(2024, 1, 2, tzinfo=UTC)}, "session cannot be kept"),
        ({"body": {"price": float("nan")}}, "must be JSON"),
        ({"body": {"price": float("inf")}}, "must be JSON"),
        ({"body": {"day": date(2024, 1, 2)}}, "must be JSON"),
    ],
)
def test_an_entry_that_a_database_could_not_keep_is_refused_with_its_batch(
    path: Path, changes: dict[str, object], complaint: str
) -> None:
    engine = open_ledger(path, durability="NORMAL")
    with pytest.raises(PermanentFailure, match=complaint):
        appended(engine, [note(0), note(1, **changes)])
    assert all_records(engine) == ()


def test_a_journal_row_is_never_changed_or_removed(engine: sa.Engine) -> None:
    appended(engine, [note(0)])
    for statement in (JOURNAL.update().values(title="another"), JOURNAL.delete()):
        with pytest.raises(sa.exc.DBAPIError), transaction(engine) as connection:
            connection.execute(statement)
    assert len(all_records(engine)) == 1


def test_four_threads_make_one_chain(engine: sa.Engine) -> None:
    def tell(writer: int) -> None:
        for number in range(15):
            appended(engine, [note(number, book=f"writer {writer}")])

    threads = [threading.Thread(target=tell, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = all_records(engine)
    assert [record.seq for record in records] == list(range(1, 61))
    for writer in range(4):
        mine = [record.entry.body["number"] for record in records if record.entry.book == f"writer {writer}"]
        assert mine == list(range(15))
    assert verify_ledger(engine, head=None).proven


@pytest.mark.slow
def test_four_processes_make_one_chain(engine: sa.Engine, ledger_where: Path | str) -> None:
    code = (
        "from tests.resources.ledger.journaled import appended, note; "
        "engine = open_ledger(place(sys.argv[1]), durability='FULL'); "
        "[appended(engine, [note(2 * n), note(2 * n + 1)]) for n in range(10)]"
    )
    processes = [python(code, ledger_where) for _ in range(4)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    proof = verify_ledger(engine, head=None)
    assert (proof.entries, proof.seq, proof.problems) == (80, 80, ())


# Reading


def test_entries_are_found_by_session_kind_symbol_book_and_correlation(engine: sa.Engine) -> None:
    desk_week(engine)
    assert read_journal(engine) == all_records(engine)
    only = {"first": DAYS[1], "last": DAYS[1]}
    assert {record.entry.session for record in read_journal(engine, **only)} == {DAYS[1]}  # type: ignore[arg-type]
    assert {r.entry.session for r in read_journal(engine, first=DAYS[1])} == {DAYS[1], DAYS[2]}
    assert {r.entry.session for r in read_journal(engine, last=DAYS[1])} == {DAYS[0], DAYS[1]}
    assert [r.entry.symbol for r in read_journal(engine, kind="veto", symbol="BBB")] == ["BBB"] * 3
    assert read_journal(engine, book="backtest") == ()
    assert newest_session(engine) == DAYS[2]


def test_a_fill_is_found_with_its_decision(engine: sa.Engine) -> None:
    desk_week(engine)
    found = read_journal(engine, correlation_id=f"desk/{DAYS[1]}/09:30")
    assert [record.entry.kind for record in found] == ["decision", "veto", "veto", "order", "fill"]


@pytest.mark.parametrize("wanted", ["session", "symbol", "correlation_id"])
def test_reading_uses_an_index(path: Path, wanted: str) -> None:
    engine = open_ledger(path, durability="FULL")
    query = f"explain query plan select * from journal where {wanted} = 'x' order by seq"
    with reading(engine) as connection:
        plan = " ".join(str(row) for row in connection.exec_driver_sql(query))
    assert "USING INDEX journal_by_" in plan


def test_a_stream_is_read_in_batches_and_from_any_number_on(engine: sa.Engine) -> None:
    records = appended(engine, [note(number) for number in range(7)])
    with reading(engine) as connection:
        assert tuple(stream_records(connection, batch=3)) == records
        assert tuple(stream_records(connection, after=5, batch=1)) == records[5:]


def test_a_damaged_entry_is_named_when_it_is_read(path: Path) -> None:
    engine = open_ledger(path, durability="FULL")
    appended(engine, [note(0)])
    with sqlite3.connect(path) as file:
        for (name,) in file.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            file.execute(f"drop trigger {name}")
        file.execute("update journal set body = '{'")
    with pytest.raises(PermanentFailure, match="journal entry 1 cannot be read") as failure:
        read_journal(engine)
    assert failure.value.hint == "desk doctor --verify-ledger"


# A backtest is walked again


def walked(engine: sa.Engine, days: int = 4) -> Teller:
    teller = Teller(engine, "backtest")
    for day in DAYS[:days]:
        day_of_trading(teller, day)
    return teller


def test_a_rewind_cuts_the_tail_and_leaves_a_proven_ledger(engine: sa.Engine) -> None:
    teller = walked(engine)
    kept = [record for record in teller.records if record.entry.session < DAYS[2]]
    teller.rewind(DAYS[2])
    assert [record.hash for record in all_records(engine)] == [record.hash for record in kept]
    assert verify_ledger(engine, head=None).problems == ()


def test_walking_again_makes_the_same_chain(engine: sa.Engine) -> None:
    teller = walked(engine)
    first = [record.hash for record in all_records(engine)]
    teller.rewind(DAYS[1])
    for day in DAYS[1:4]:
        day_of_trading(teller, day)
    assert [record.hash for record in all_records(engine)] == first


def test_a_fresh_backtest_empties_its_journal(engine: sa.Engine) -> None:
    walked(engine).rewind(date.min)
    assert all_records(engine) == ()
    assert verify_ledger(engine, head=None).problems == ()


def test_entries_that_stay_behind_a_cut_are_chained_anew(engine: sa.Engine) -> None:
    """A person halts a backtest today, walks on through the past, and rewinds to a day between."""
    teller = walked(engine, 1)
    halt = teller.halt("operator: look", as_of=at(DAYS[9]))
    for day in DAYS[1:4]:
        day_of_trading(teller, day)
    before = len(all_records(engine))
    teller.rewind(DAYS[3])
    after = all_records(engine)
    assert {record.entry.session for record in after} == set(DAYS[:3])
    assert halt.id not in {record.entry.body.get("halt_id") for record in after}
    assert len(after) < before
    assert verify_ledger(engine, head=None).problems == ()


def test_a_halt_that_outlives_the_cut_stays_in_the_chain_with_its_early_answer(engine: sa.Engine) -> None:
    teller = walked(engine, 1)
    early = teller.halt("C12", as_of=at(DAYS[0]))
    teller.resume(early, "seen", as_of=at(DAYS[0]) + timedelta(hours=1))
    late = teller.halt("C11", as_of=at(DAYS[2]))
    teller.resume(late, "answered with a stamp before the halt", as_of=at(DAYS[0]) + timedelta(hours=2))
    teller.rewind(DAYS[1])
    told = [(record.entry.kind, record.entry.body["halt_id"]) for record in all_records(engine)[-2:]]
    assert told == [("halt", early.id), ("resume", early.id)]
    assert verify_ledger(engine, head=None).problems == ()


def test_a_late_answer_goes_and_its_halt_is_open_again(engine: sa.Engine) -> None:
    teller = walked(engine, 1)
    early = teller.halt("C12", as_of=at(DAYS[0]))
    teller.resume(early, "seen later", as_of=at(DAYS[3]))
    teller.rewind(DAYS[1])
    assert [record.entry.kind for record in all_records(engine)][-1] == "halt"
    assert verify_ledger(engine, head=None).problems == ()


def test_a_changed_setting_outlives_a_rewind(engine: sa.Engine) -> None:
    teller = walked(engine, 2)
    teller.change({"a": 1}, {"a": 2}, as_of=at(DAYS[2]))
    teller.rewind(DAYS[0])
    assert [record.entry.title for record in all_records(engine)] == ["changed a"]
    assert verify_ledger(engine, head=None).problems == ()


def test_the_desks_journal_is_never_cut(engine: sa.Engine) -> None:
    appended(engine, [note(0)])
    with pytest.raises(PermanentFailure, match="only a backtest's journal"), transaction(engine) as connection:
        forget_entries(connection, "desk", DAYS[0])
    assert len(all_records(engine)) == 1


def test_another_books_entries_are_never_rewritten(engine: sa.Engine) -> None:
    walked(engine, 2)
    appended(engine, [note(0)])
    with pytest.raises(PermanentFailure, match="another book's journal") as failure, transaction(engine) as connection:
        forget_entries(connection, "backtest", DAYS[1])
    assert failure.value.value == f"entry {len(all_records(engine))} of book desk"


def test_another_books_entries_before_the_cut_stay_as_they_are(engine: sa.Engine) -> None:
    appended(engine, [note(0)])
    walked(engine, 2).rewind(date.min)
    assert [record.entry.book for record in all_records(engine)] == ["desk"]


def test_rewinding_to_a_day_that_was_never_walked_cuts_nothing(engine: sa.Engine) -> None:
    teller = walked(engine, 2)
    teller.rewind(DAYS[8])
    assert len(all_records(engine)) == len(teller.records)


def test_canonical_json_is_one_text() -> None:
    assert canonical({"b": [1, None], "a": "ü"}) == '{"a":"\\u00fc","b":[1,null]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": float("nan")})
