"""Recorded answers: the first stands, a damaged one is never a miss."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.ledger import schema as t
from resources.ledger.answers import KEYS_MAX, SqlAnswerBook
from resources.ledger.engine import open_ledger
from tests.resources.ledger.calls import NOW, answer, processes, unguarded
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.ports import AnswerBook, AnswerRecord

COLUMNS = ("key", "route", "model", "skill", "skill_hash", "request", "response", "digest", "at")


@pytest.fixture
def answers(engine: sa.Engine) -> SqlAnswerBook:
    return SqlAnswerBook(engine)


def test_what_was_kept_is_found_whole(answers: SqlAnswerBook) -> None:
    book: AnswerBook = answers
    record = AnswerRecord("k", "anthropic", "small", "technical", "5" * 64, '{"a":"é 日本"}', '{"b":[1,null]}')
    book.keep(record, as_of=NOW)
    assert book.find(["k"]) == record


def test_the_first_key_that_has_a_record_wins_not_the_first_record(answers: SqlAnswerBook) -> None:
    for key in ("c", "a", "b"):
        answers.keep(answer(key), as_of=NOW)
    found = [answers.find(keys) for keys in (["x", "b", "a"], ["a", "b"], ["c"], ["x"], [])]
    assert [record.key if record else None for record in found] == ["b", "a", "c", None, None]


def test_many_questions_are_looked_up_together(answers: SqlAnswerBook, engine: sa.Engine) -> None:
    for number in range(0, 900, 3):
        answers.keep(answer(f"k{number}"), as_of=NOW)
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
    found = answers.find_many([[f"k{number}", f"k{number + 1}"] for number in range(900)])
    assert sum("FROM answers" in statement for statement in statements) == -(-901 // KEYS_MAX)
    keys = [record.key if record else None for record in found]
    expected = [f"k{n}" if n % 3 == 0 else f"k{n + 1}" if n % 3 == 2 and n < 899 else None for n in range(900)]
    assert keys == expected


def test_a_find_is_one_query_whatever_the_number_of_keys(answers: SqlAnswerBook, engine: sa.Engine) -> None:
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
    for size in range(1, 9):
        answers.find([f"k{number}" for number in range(size)])
    asked = [statement for statement in statements if "FROM answers" in statement]
    assert len(asked) == 8
    assert len(set(asked)) == 4, "sizes are rounded up to 1, 2, 4 and 8"


def test_keeping_the_same_response_again_changes_nothing(answers: SqlAnswerBook, engine: sa.Engine) -> None:
    for _ in range(3):
        answers.keep(answer(), as_of=NOW)
    with engine.begin() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.ANSWERS)).scalar() == 1


def test_another_response_is_refused_and_the_first_stands(answers: SqlAnswerBook) -> None:
    answers.keep(answer(), as_of=NOW)
    with pytest.raises(PermanentFailure, match="recorded once.*k1"):
        answers.keep(answer(response='{"signal":-1}'), as_of=NOW)
    assert answers.find(["k1"]) == answer()


def test_who_comes_second_is_told_what_stands(answers: SqlAnswerBook) -> None:
    first, second = answer(), answer(response='{"signal":-1}')
    assert [answers.keep_first(record, as_of=NOW) for record in (first, second)] == [first, first]


def test_of_eight_processes_with_eight_answers_one_answer_stands_for_all(
    engine: sa.Engine, ledger_where: Path | str
) -> None:
    """Whoever acts on what `keep_first` returns acts on what a replay will say."""
    told = processes(*(("keep_first_answer", ledger_where, f'{{"signal":{n}}}') for n in range(8)))
    assert len(set(told)) == 1
    found = SqlAnswerBook(engine).find(["shared"])
    assert found is not None
    assert found.response == told[0]


# Damage


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_field_of_a_record_raises_and_is_no_miss(
    answers: SqlAnswerBook, engine: sa.Engine, column: str
) -> None:
    """Also the model's name: the label of what it could have known hangs on it."""
    answers.keep(answer(), as_of=NOW)
    with engine.begin() as connection:
        unguarded(connection, "answers")
        connection.execute(t.ANSWERS.update().values({column: "other"}))
    asked = "other" if column == "key" else "k1"
    with pytest.raises(PermanentFailure, match=f"damaged.*{asked}.*backup"):
        answers.find([asked])
    with pytest.raises(PermanentFailure, match="damaged"):
        answers.keep(answer(asked), as_of=NOW)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 6), column=st.sampled_from(["request", "response"]))
def test_any_flipped_bit_is_seen(path: Path, place: int, bit: int, column: str) -> None:
    engine = open_ledger(path, durability="NORMAL")
    answers, key = SqlAnswerBook(engine), f"{place}-{bit}-{column}"
    record = answer(key, '{"signal":0.25,"reasons":["a","b"]}')
    answers.keep_first(record, as_of=NOW)
    raw = bytearray(getattr(record, column).encode())
    raw[place % len(raw)] ^= 1 << bit
    with engine.begin() as connection:
        unguarded(connection, "answers")
        connection.exec_driver_sql(f"update answers set {column} = ? where key = ?", (raw.decode(), key))
    with pytest.raises(PermanentFailure, match="damaged"):
        answers.find([key])
    engine.dispose()


def test_a_part_that_moved_to_its_neighbour_is_seen(answers: SqlAnswerBook, engine: sa.Engine) -> None:
    answers.keep(answer(response="ab"), as_of=NOW)
    with engine.begin() as connection:
        unguarded(connection, "answers")
        moved = {"request": answer().request + "a", "response": "b"}
        connection.execute(t.ANSWERS.update().values(moved))
    with pytest.raises(PermanentFailure, match="damaged"):
        answers.find(["k1"])


def test_a_damaged_record_stops_only_who_asks_for_it(answers: SqlAnswerBook, engine: sa.Engine) -> None:
    answers.keep(answer("good"), as_of=NOW)
    answers.keep(answer("bad"), as_of=NOW)
    with engine.begin() as connection:
        unguarded(connection, "answers")
        connection.execute(t.ANSWERS.update().where(t.ANSWERS.c.key == "bad").values(response="{}"))
    assert answers.find(["good", "bad"]) == answer("good")
    with pytest.raises(PermanentFailure, match="damaged"):
        answers.find(["bad", "good"])


@pytest.mark.parametrize("text", ["nul \x00", "half \ud800"])
@pytest.mark.parametrize("part", ["key", "request", "response"])
def test_what_a_database_would_change_is_refused(answers: SqlAnswerBook, part: str, text: str) -> None:
    parts = {"key": "k", "request": "{}", "response": "{}", part: text}
    record = AnswerRecord(parts["key"], "r", "m", "s", "h", parts["request"], parts["response"])
    with pytest.raises(PermanentFailure, match="cannot be stored"):
        answers.keep(record, as_of=NOW)


def test_a_long_answer_is_kept_whole(answers: SqlAnswerBook) -> None:
    long = answer(response='"' + "x" * 2_000_000 + '"')
    answers.keep(long, as_of=NOW)
    assert answers.find(["k1"]) == long
