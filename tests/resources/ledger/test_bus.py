"""The bus within one process: what may be said, who hears it, and where a consumer stands, in both databases."""

import json
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.ledger import schema as t
from resources.ledger.bus import Consumer, append_messages, follow, newest_id, publish, read_messages
from resources.ledger.engine import reading, transaction
from tests.resources.ledger.bus_parts import DRAFTS, EVERYTHING, INSTANTS, NAMES, NOW, note, notes, stored, texts
from tests.resources.ledger.entries import DAYS, at
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.messages import TOPICS, BarClosed, Draft, Filled, Message, Note, Wanted, Window

SHARED_ENGINE = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
WANTED = st.builds(
    Wanted,
    topics=st.frozensets(st.sampled_from(sorted(TOPICS)), max_size=3),
    recipient=st.none() | NAMES,
    book=st.none() | st.sampled_from(["desk", "paper"]),
)
DAYS_OF_WINDOWS = st.sampled_from([date.min, *DAYS[:6], date.max])
WINDOWS = st.builds(
    Window,
    first_id=st.integers(0, 12),
    last_id=st.none() | st.integers(0, 12),
    first_session=DAYS_OF_WINDOWS,
    last_session=DAYS_OF_WINDOWS,
    since=st.none() | INSTANTS,
    until=st.none() | INSTANTS,
)


def consumer(engine: sa.Engine, name: str = "reader", **about: object) -> Consumer:
    """A consumer of everything from the beginning, unless told otherwise."""
    return Consumer(engine, name, **{"clock": NOW, "start": "beginning", **about})  # type: ignore[arg-type]


def handled(reader: Consumer, limit: int = 100) -> list[str]:
    """The notes of one batch that ends well."""
    with reader.batch(limit) as batch:
        return texts(batch)


def halt(connection: sa.Connection, cause: str) -> None:
    """Something that a handler books."""
    connection.execute(t.HALTS.insert(), {"book": "desk", "cause": cause, "at": NOW.now().isoformat()})


def halts(engine: sa.Engine) -> list[str]:
    with reading(engine) as connection:
        return list(connection.execute(sa.select(t.HALTS.c.cause)).scalars())


# What is said


@SHARED_ENGINE
@given(drafts=st.lists(DRAFTS, max_size=5))
def test_messages_come_back_as_they_were_sent(engine: sa.Engine, drafts: list[Draft]) -> None:
    before = newest_of(engine)
    ids = publish(engine, drafts)
    with reading(engine) as connection:
        found = read_messages(connection, EVERYTHING, after=before, limit=100)
    assert found == tuple(Message(number, draft) for number, draft in zip(ids, drafts, strict=True))
    assert list(ids) == sorted(set(ids))


def newest_of(engine: sa.Engine) -> int:
    with reading(engine) as connection:
        return newest_id(connection)


def test_thousands_of_messages_at_once_keep_their_order(engine: sa.Engine) -> None:
    ids = publish(engine, notes(2_500))
    assert list(ids) == list(range(ids[0], ids[0] + 2_500))
    assert stored(engine) == [str(number) for number in range(2_500)]


def test_payloads_are_stored_as_canonical_json(engine: sa.Engine) -> None:
    fill = Filled(
        fill_id="f", order_id="o", symbol="Ä", side="buy", quantity=7, price=Decimal("100.5000"), fee=Decimal("0.035")
    )
    publish(engine, [replace(note(""), payload=fill)])
    with reading(engine) as connection:
        text: str = connection.execute(sa.select(t.MESSAGES.c.payload)).scalar_one()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert '"price":"100.5000"' in text


def test_saying_nothing_changes_nothing(engine: sa.Engine) -> None:
    assert publish(engine, []) == ()
    assert newest_of(engine) == 0


def bar(start: datetime, opening: float) -> BarClosed:
    """A bar that nobody validated."""
    return BarClosed.model_construct(
        None, symbol="AAA", start=start, seconds=60, open=opening, high=1.0, low=1.0, close=1.0, volume=1.0
    )


class Whisper(Note):
    """A kind of note that the closed list does not have."""


BAD: list[tuple[dict[str, Any], str]] = [
    ({"at": datetime(2024, 3, 15, 12, 0)}, "time zone"),  # noqa: DTZ001
    ({"book": "../desk"}, "book"),
    ({"book": ""}, "book"),
    ({"sender": ""}, "sender"),
    ({"sender": "a\x00b"}, "sender"),
    ({"sender": "a\ud800"}, "sender"),
    ({"sender": "a" * 201}, "sender"),
    ({"recipient": ""}, "recipient"),
    ({"recipient": "a\nb"}, "recipient"),
    ({"correlation_id": "\x1b[2J"}, "correlation id"),
    ({"signature": ""}, "signature"),
    ({"payload": Whisper(text="psst")}, "no such topic"),
    ({"payload": Note.model_construct(text=7)}, "fit topic note"),
    ({"payload": Note.model_construct(text="half \ud83d")}, "topic note"),
    ({"payload": Note.model_construct()}, "fit topic note"),
    ({"payload": bar(at(DAYS[0]), float("nan"))}, "canonical JSON"),
    ({"payload": bar(datetime(2024, 3, 15), 1.0)}, "fit topic bar"),  # noqa: DTZ001
]


def test_what_no_receiver_could_read_is_refused_with_everything_beside_it(engine: sa.Engine) -> None:
    for wrong, words in BAD:
        with pytest.raises(PermanentFailure, match=words):
            publish(engine, [note("good"), replace(note("x"), **wrong)])
    assert newest_of(engine) == 0
    publish(engine, [replace(note("x"), payload=bar(at(DAYS[0]), 1.0))])


def test_text_of_any_kind_is_kept_also_nul(engine: sa.Engine) -> None:
    strange = "".join(map(chr, range(32))) + "\x7f\u2028\u202e🚀"
    publish(engine, [note(strange)])
    assert stored(engine) == [strange]


def test_a_message_commits_with_what_it_speaks_of_or_not_at_all(engine: sa.Engine) -> None:
    def halt_and_fail() -> None:
        with transaction(engine) as connection:
            halt(connection, "a test")
            append_messages(connection, [note("halted")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        halt_and_fail()
    assert halts(engine) == []
    assert stored(engine) == []


def test_ids_go_on_after_a_transaction_that_was_given_up(engine: sa.Engine) -> None:
    publish(engine, [note("one")])
    with transaction(engine) as connection:
        append_messages(connection, [note("lost")])
        connection.rollback()
    publish(engine, [note("two")])
    assert stored(engine) == ["one", "two"]


def test_a_stored_message_of_an_unknown_topic_stops_whoever_would_hear_it(engine: sa.Engine) -> None:
    publish(engine, [note("before")])
    row = {"book": "desk", "session": DAYS[0], "at": at(DAYS[0]).isoformat(), "sender": "newer", "correlation_id": ""}
    with transaction(engine) as connection:
        connection.execute(t.MESSAGES.insert(), [{**row, "topic": "telepathy", "payload": "{}"}])
        connection.execute(t.MESSAGES.insert(), [{**row, "topic": "halt", "payload": '{"halt_id":"one"}'}])
    publish(engine, [note("after")])
    assert handled(consumer(engine, "notes", topics=["note"])) == ["before", "after"]
    for topics in ((), ("halt",)):
        reader = consumer(engine, f"hears {topics}", topics=topics)
        with pytest.raises(PermanentFailure, match="not of a kind that this version knows.*that sent it"):
            handled(reader)
        assert reader.position == 0


# Who hears it


@SHARED_ENGINE
@given(drafts=st.lists(DRAFTS, min_size=1, max_size=8), wanted=WANTED, window=WINDOWS)
def test_the_ledger_selects_what_the_words_of_the_bus_select(
    engine: sa.Engine, drafts: list[Draft], wanted: Wanted, window: Window
) -> None:
    before = newest_of(engine)
    ids = publish(engine, drafts)
    moved = replace(
        window, first_id=window.first_id + before, last_id=None if window.last_id is None else window.last_id + before
    )
    expected = [
        message
        for message in (Message(number, draft) for number, draft in zip(ids, drafts, strict=True))
        if wanted.fits(message.draft) and moved.holds(message)
    ]
    with reading(engine) as connection:
        assert list(read_messages(connection, wanted, after=before, limit=100, window=moved)) == expected


def test_a_recipient_hears_what_is_said_to_it_and_to_everyone(engine: sa.Engine) -> None:
    publish(engine, [note("all"), note("gate", to="gate"), note("desk", to="desk")])
    assert handled(consumer(engine, "gate", recipient="gate")) == ["all", "gate"]
    assert handled(consumer(engine, "audit")) == ["all", "gate", "desk"]


def test_following_leaves_no_cursor_and_hears_what_comes_later(engine: sa.Engine) -> None:
    publish(engine, notes(2))
    coming = follow(engine, EVERYTHING, after=1, name="eyes", clock=NOW, look_every_s=60)
    assert texts([next(coming)]) == ["1"]
    publish(engine, [note("later")])
    assert texts([next(coming)]) == ["later"]
    coming.close()
    with reading(engine) as connection:
        assert connection.execute(sa.select(t.CURSORS)).all() == []


# Where a consumer stands


def test_a_new_consumer_starts_where_it_is_told_and_an_old_one_where_it_was(engine: sa.Engine) -> None:
    publish(engine, notes(3))
    assert handled(consumer(engine, "late", start="end")) == []
    assert handled(consumer(engine, "early", start="beginning"), limit=2) == ["0", "1"]
    publish(engine, [note("new")])
    assert handled(consumer(engine, "late", start="beginning")) == ["new"]
    assert handled(consumer(engine, "early", start="end")) == ["2", "new"]


def test_a_batch_that_raises_moves_neither_cursor_nor_ledger(engine: sa.Engine) -> None:
    publish(engine, notes(2))
    reader = consumer(engine)

    def halt_and_fail() -> None:
        with reader.batch(5) as batch:
            halt(batch.connection, "a test")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        halt_and_fail()
    assert reader.position == 0
    assert halts(engine) == []
    with reader.batch(5) as batch:
        halt(batch.connection, f"heard {len(batch)}")
    assert halts(engine) == ["heard 2"]
    assert handled(reader) == []


def test_batches_of_any_size_handle_each_message_once_and_in_order(engine: sa.Engine) -> None:
    publish(engine, notes(23))
    reader, found = consumer(engine), []
    for size in (1, 7, 3, 5, 100, 1):
        found += handled(reader, size)
    assert found == [str(number) for number in range(23)]


def test_messages_for_others_are_left_behind(engine: sa.Engine) -> None:
    """A cursor that stood still would hold up archiving for ever."""
    publish(engine, [*notes(3, to="other"), note("mine", to="me"), *notes(2, to="other")])
    reader = consumer(engine, recipient="me", look_every_s=0.0)
    assert handled(reader, 1) == ["mine"]
    assert reader.position == 4
    assert not reader.wait(0)
    assert reader.position == 6


def test_a_waiting_consumer_stops_before_the_first_message_for_it(engine: sa.Engine) -> None:
    reader = consumer(engine, recipient="me", look_every_s=0.0)
    publish(engine, notes(3, to="other"))
    assert not reader.wait(0)
    publish(engine, [note("mine", to="me")])
    assert reader.wait(0)
    # The message may also come between the look that found nothing and the move of the cursor.
    publish(engine, notes(1, to="other"))
    reader._pass_by()
    assert (reader.position, handled(reader)) == (3, ["mine"])


def test_the_bounds_of_a_window_belong_to_it(engine: sa.Engine) -> None:
    publish(engine, [replace(note(n, day=day), at=at(day)) for n, day in enumerate(DAYS[:5])])
    for window in (
        Window(first_id=2, last_id=4),
        Window(first_session=DAYS[1], last_session=DAYS[3]),
        Window(since=at(DAYS[1]), until=at(DAYS[3])),
    ):
        with reading(engine) as connection:
            found = read_messages(connection, EVERYTHING, after=0, limit=100, window=window)
        assert texts(found) == ["1", "2", "3"]
        assert all(window.holds(message) for message in found)


def test_what_a_consumer_says_in_a_batch_it_hears_in_the_next(engine: sa.Engine) -> None:
    publish(engine, [note("question")])
    reader = consumer(engine)
    with reader.batch(5) as batch:
        append_messages(batch.connection, [note(f"answer to {text}") for text in texts(batch)])
    assert handled(reader) == ["answer to question"]


def test_polling_moves_nothing_and_advancing_never_goes_back(engine: sa.Engine) -> None:
    publish(engine, notes(3))
    reader = consumer(engine)
    assert texts(reader.poll(2)) == texts(reader.poll(2)) == ["0", "1"]
    reader.advance(2)
    reader.advance(1)
    assert (reader.position, texts(reader.poll(5))) == (2, ["2"])
    for beyond in (4, -1):
        with pytest.raises(PermanentFailure, match="cannot have handled"):
            reader.advance(beyond)


def test_a_cursor_that_was_removed_stops_its_consumer(engine: sa.Engine) -> None:
    reader = consumer(engine)
    with transaction(engine) as connection:
        connection.execute(t.CURSORS.delete())
    for look in (lambda: reader.wait(0), lambda: reader.poll(1), lambda: handled(reader), lambda: reader.position):
        with pytest.raises(PermanentFailure, match="cursor of consumer reader is gone"):
            look()


def test_a_consumer_takes_at_least_one_message_and_needs_a_name(engine: sa.Engine) -> None:
    with pytest.raises(PermanentFailure, match="at least one"):
        consumer(engine).poll(0)
    for name in ("", "two\nlines"):
        with pytest.raises(PermanentFailure, match="consumer"):
            consumer(engine, name)


def test_the_cursor_says_when_it_last_moved(engine: sa.Engine) -> None:
    publish(engine, notes(1))
    handled(consumer(engine))
    with reading(engine) as connection:
        row = connection.execute(sa.select(t.CURSORS)).one()
    assert (row.consumer, row.position, row.at) == ("reader", 1, NOW.now().isoformat(timespec="microseconds"))
