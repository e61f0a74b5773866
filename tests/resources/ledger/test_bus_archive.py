"""Retention: messages move from the ledger to the lake, and nobody who reads the bus can tell."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.clock import FixedClock
from resources.lake import ParquetLake
from resources.ledger import archive as archive_module
from resources.ledger import schema as t
from resources.ledger.archive import Archived, archive, replay
from resources.ledger.bus import ARCHIVED_THROUGH, Consumer, archived_through, publish
from resources.ledger.engine import reading, transaction
from tests.resources.ledger.bus_parts import (
    DRAFTS,
    EVERYTHING,
    NOW,
    ended,
    heard,
    note,
    notes,
    opened,
    run,
    stored,
    tell,
    texts,
    took,
)
from tests.resources.ledger.entries import DAYS, at
from tests.resources.ledger.test_bus import WANTED, WINDOWS
from trading_assets.core.errors import LakeDamaged, PermanentFailure
from trading_assets.core.messages import BUS_MESSAGES, Draft, Message, Wanted, Window
from trading_assets.core.ports import Lake, Span, Written
from trading_assets.core.tables import FACTS, Table

LATER = datetime(2031, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
WHOLE = Window()


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    return ParquetLake(tmp_path / "lake")


def archived(
    engine: sa.Engine, lake: Lake, before: date = DAYS[-1], as_of: datetime | None = None, step: int = 10_000
) -> Archived:
    return archive(engine, lake, before=before, as_of=as_of or NOW.now(), silent_after=WEEK, rows_per_step=step)


def everything(engine: sa.Engine, lake: Lake, window: Window = WHOLE, wanted: Wanted = EVERYTHING) -> list[Message]:
    return list(replay(engine, lake, window, wanted, as_of=LATER))


def of_days(count: int) -> list[Draft]:
    """Three messages of each of the first sessions."""
    return [note(f"{n} {k}", day=day, sender="ab"[k % 2]) for n, day in enumerate(DAYS[:count]) for k in range(3)]


def test_archived_messages_leave_the_ledger_and_come_back_from_the_lake(engine: sa.Engine, lake: ParquetLake) -> None:
    publish(engine, of_days(5))
    before = everything(engine, lake)
    assert archived(engine, lake, DAYS[3]) == Archived(9, 9, (), ())
    assert stored(engine) == ["3 0", "3 1", "3 2", "4 0", "4 1", "4 2"]
    assert everything(engine, lake) == before
    assert archived(engine, lake, DAYS[3]) == Archived(9, 0, (), ())
    assert archived(engine, lake, DAYS[5]) == Archived(15, 6, (), ())
    assert (stored(engine), everything(engine, lake)) == ([], before)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drafts=st.lists(DRAFTS, min_size=1, max_size=10),
    cut=st.integers(0, 7),
    wanted=WANTED,
    window=WINDOWS,
    data=st.data(),
)
def test_any_window_and_any_choice_is_replayed_alike_before_and_after(
    tmp_path_factory: pytest.TempPathFactory,
    drafts: list[Draft],
    cut: int,
    wanted: Wanted,
    window: Window,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("bus")
    engine, lake = opened(folder / "desk.sqlite"), ParquetLake(folder / "lake")
    publish(engine, drafts)
    expected = [m for m in everything(engine, lake) if wanted.fits(m.draft) and window.holds(m)]
    assert everything(engine, lake, window, wanted) == expected
    archived(engine, lake, DAYS[cut], step=data.draw(st.integers(1, 10)))
    assert everything(engine, lake, window, wanted) == expected
    engine.dispose()


def test_replay_moves_no_cursor_and_shows_nothing_of_later(engine: sa.Engine, lake: ParquetLake) -> None:
    early, late = note("early"), replace(note("late"), at=at(DAYS[2]))
    publish(engine, [early, late, early])
    reader = Consumer(engine, "reader", clock=NOW, start="end")
    with Consumer(engine, "old", clock=NOW, start="beginning") as old:
        took(old)
    for _ in range(2):
        assert texts(list(replay(engine, lake, Window(), as_of=at(DAYS[1])))) == ["early", "early"]
        assert texts(list(replay(engine, lake, Window(), as_of=at(DAYS[2])))) == ["early", "late", "early"]
        archived(engine, lake)
    assert reader.position == 3


def test_messages_that_are_archived_during_a_replay_are_neither_missed_nor_repeated(
    engine: sa.Engine, lake: ParquetLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "_PAGE", 2)
    publish(engine, of_days(6))
    expected = texts(everything(engine, lake))
    for cut in range(1, 7):
        told = replay(engine, lake, Window(), as_of=LATER)
        begun = [next(told) for _ in range(3)]
        archived(engine, lake, DAYS[cut], step=2)
        assert texts([*begun, *told]) == expected


def test_a_replay_ends_although_messages_keep_coming(engine: sa.Engine, lake: ParquetLake) -> None:
    publish(engine, notes(3))
    for count, message in enumerate(replay(engine, lake, Window(), as_of=LATER)):
        publish(engine, [note(f"after {message.id}")])
        assert count < 3


# What may go


def test_a_session_that_is_kept_keeps_what_came_after_its_first_message(engine: sa.Engine, lake: ParquetLake) -> None:
    """What is archived is a prefix of the ids, so that one number says where a message is."""
    publish(engine, [note("old"), note("kept", day=DAYS[5]), note("straggler")])
    assert archived(engine, lake, DAYS[3]).through == 1
    assert stored(engine) == ["kept", "straggler"]


def test_weekends_and_stragglers_are_found_by_their_own_day(engine: sa.Engine, lake: ParquetLake) -> None:
    """The lake knows sessions only: Saturday's message lies with Monday's, and Monday's write leaves it there."""
    saturday = DAYS[3] + timedelta(days=1)
    publish(engine, [note("saturday", day=saturday)])
    archived(engine, lake, DAYS[4])
    publish(engine, [note("monday", day=DAYS[4]), note("straggler", day=DAYS[0] - timedelta(days=4000))])
    archived(engine, lake, DAYS[5])
    assert stored(engine) == []
    assert texts(everything(engine, lake)) == ["saturday", "monday", "straggler"]
    ends = ((date.min, None), (date.max, None))
    for day, text in ((saturday, "saturday"), (DAYS[4], "monday"), (DAYS[3], None), *ends):
        found = everything(engine, lake, Window(first_session=day, last_session=day))
        assert texts(found) == ([text] if text else [])


def test_each_book_has_a_lane_of_its_own(engine: sa.Engine, lake: ParquetLake) -> None:
    publish(engine, [note("desk"), note("paper", book="paper"), note("desk again")])
    archived(engine, lake)
    assert lake.folders() == (("desk", "bus_messages"), ("paper", "bus_messages"))
    assert texts(everything(engine, lake)) == ["desk", "paper", "desk again"]
    assert texts(everything(engine, lake, wanted=Wanted(book="paper"))) == ["paper"]


def test_the_slowest_living_consumer_is_waited_for_and_named(engine: sa.Engine, lake: ParquetLake) -> None:
    publish(engine, of_days(4))
    reader = Consumer(engine, "slow", clock=NOW, start="beginning")
    with reader.batch(4):
        pass
    Consumer(engine, "done", clock=NOW, start="end")
    done = archived(engine, lake)
    assert done == Archived(4, 4, ("slow (at 4)",), ())
    with reader.batch(100):
        pass
    assert archived(engine, lake) == Archived(12, 8, (), ())


def test_a_consumer_that_is_silent_for_long_is_reported_and_must_replay_what_it_missed(
    engine: sa.Engine, lake: ParquetLake
) -> None:
    publish(engine, of_days(3))
    with Consumer(engine, "silent", clock=FixedClock(NOW.now() - 2 * WEEK), start="beginning") as reader:
        with reader.batch(2):
            pass
        done = archived(engine, lake)
        assert (done.through, done.held_up_by) == (9, ())
        assert [each.split()[0] for each in done.silent] == ["silent"]
        for look in (lambda: reader.wait(0), lambda: reader.poll(1), lambda: took(reader)):
            with pytest.raises(PermanentFailure, match=r"replay 3 to 9 from the lake, then advance to 9"):
                look()
        missed = everything(engine, lake, Window(first_id=reader.position + 1, last_id=9))
        assert len(missed) == 7
        reader.advance(9)
        publish(engine, [note("back")])
        assert took(reader) == ["back"]


def test_a_consumer_that_begins_during_an_archiving_is_not_overtaken(engine: sa.Engine, lake: ParquetLake) -> None:
    publish(engine, of_days(3))

    def begin() -> None:
        Consumer(engine, "new", clock=NOW, start="beginning")

    done = archived(engine, Meddling(lake, after_merge=begin))
    assert (done.through, done.messages) == (0, 0)
    with Consumer(engine, "new", clock=NOW, start="end") as reader:
        assert len(took(reader)) == 9
    assert archived(engine, lake).through == 9
    assert len(everything(engine, lake)) == 9


def test_ids_go_on_where_an_emptied_ledger_stopped(engine: sa.Engine, lake: ParquetLake) -> None:
    publish(engine, notes(3))
    archived(engine, lake)
    late = Consumer(engine, "late", clock=NOW, start="end")
    first = Consumer(engine, "first", clock=NOW, start="beginning")
    assert late.position == first.position == 3
    assert publish(engine, [note("next")])[0] > 3
    assert took(late) == took(first) == ["next"]


def test_the_watermark_only_grows(engine: sa.Engine, lake: ParquetLake) -> None:
    marks = []
    publish(engine, of_days(5))
    for cut in (2, 1, 4, 0, 3):
        archived(engine, lake, DAYS[cut])
        with reading(engine) as connection:
            marks.append(archived_through(connection))
    assert marks == [6, 6, 12, 12, 12]


# What goes wrong


class Meddling:
    """A real lake; what happens after a merge, and what a reading shows, can be meddled with."""

    def __init__(self, lake: ParquetLake, after_merge: object = None, altered: bool = False) -> None:
        self._lake = lake
        self._after_merge = after_merge
        self._altered = altered

    def read(self, table: Table, **asked: object) -> pl.DataFrame:
        frame = self._lake.read(table, **asked)  # type: ignore[arg-type]
        return frame.with_columns(sender=pl.lit("somebody else")) if self._altered else frame

    def merge(
        self,
        table: Table,
        frame: pl.DataFrame,
        span: Span,
        *,
        replacing: Mapping[str, Sequence[str]],
        lane: str = FACTS,
    ) -> Written:
        written = self._lake.merge(table, frame, span, replacing=replacing, lane=lane)
        if callable(self._after_merge):
            self._after_merge()
        return written

    def write(self, table: Table, frame: pl.DataFrame, span: Span, *, lane: str = FACTS) -> Written:
        return self._lake.write(table, frame, span, lane=lane)

    def forget(self, table: Table, span: Span, *, lane: str) -> None:
        self._lake.forget(table, span, lane=lane)

    def versions(self, table: Table, span: Span, *, lane: str = FACTS) -> Mapping[date, str]:
        return self._lake.versions(table, span, lane=lane)


def test_what_does_not_come_back_as_it_was_is_not_deleted(engine: sa.Engine, lake: ParquetLake) -> None:
    publish(engine, notes(3))
    with pytest.raises(LakeDamaged, match="none was deleted"):
        archived(engine, Meddling(lake, altered=True))
    assert stored(engine) == ["0", "1", "2"]
    with reading(engine) as connection:
        assert archived_through(connection) == 0


def test_the_archive_of_another_ledger_is_not_overwritten(tmp_path: Path, lake: ParquetLake) -> None:
    """A ledger that is begun anew gives the same ids to other messages."""
    for number, expected in ((1, 3), (2, 0)):
        engine = opened(tmp_path / f"{number}.sqlite")
        publish(engine, [note(f"{number} {n}") for n in range(3)])
        if expected:
            assert archived(engine, lake).messages == expected
            continue
        with pytest.raises(PermanentFailure, match="other messages.*begun anew"):
            archived(engine, lake)
        assert stored(engine) == ["2 0", "2 1", "2 2"]


def test_an_archive_with_one_message_twice_is_not_replayed(engine: sa.Engine, lake: ParquetLake) -> None:
    publish(engine, [note("one")])
    archived(engine, lake)
    frame = lake.read(BUS_MESSAGES, as_of=LATER, lane="desk").with_columns(session=pl.lit(DAYS[1]))
    lake.write(BUS_MESSAGES, frame, Span(DAYS[1], DAYS[1]), lane="desk")
    with pytest.raises(LakeDamaged, match="twice"):
        everything(engine, lake)


def test_archivings_at_once_lose_and_double_nothing(engine: sa.Engine, lake: ParquetLake) -> None:
    publish(engine, of_days(10))
    expected, failures = everything(engine, lake), list[BaseException]()

    def work() -> None:
        try:
            archived(engine, lake, step=4)
        except BaseException as failure:  # noqa: BLE001 - told by the assertion below
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(5):
        publish(engine, [note(f"meanwhile {number}", day=DAYS[15])])
    for thread in threads:
        thread.join()
    assert failures == []
    assert everything(engine, lake)[:30] == expected
    assert len(everything(engine, lake)) == 35


def test_history_cannot_be_deleted_beyond_the_watermark(engine: sa.Engine, lake: ParquetLake) -> None:
    publish(engine, of_days(2))
    archived(engine, lake, DAYS[1])
    for statement in (
        t.MESSAGES.delete(),
        t.MESSAGES.update().values(sender="somebody else"),
        t.APP_STATE.update().where(t.APP_STATE.c.key == ARCHIVED_THROUGH).values(value="2"),
    ):
        with pytest.raises(sa.exc.DBAPIError), transaction(engine) as connection:
            connection.execute(statement)
    assert len(stored(engine)) == 3


# Killed


@pytest.mark.slow
def test_an_archiving_killed_at_any_step_loses_and_doubles_nothing(
    ledger_where: Path | str, engine: sa.Engine, tmp_path: Path
) -> None:
    """Killed at its first touch of lake or ledger, the next one later, and so on to the last, with new messages each time."""
    lake, said = ParquetLake(tmp_path / "lake"), ["0", "1"]
    publish(engine, notes(2))
    archived(engine, lake)
    stride = 1 if engine.dialect.name == "sqlite" else 3
    code = f"archive_and_die_step_by_step(sys.argv[1], sys.argv[2], {stride})"
    archiver = run(code, ledger_where, tmp_path / "lake")
    for step in range(1, 200, stride):
        some = [note(f"{step} a"), note(f"{step} b", day=DAYS[3] + timedelta(days=1)), note(f"{step} c", book="paper")]
        said += texts([Message(0, draft) for draft in some])
        publish(engine, some)
        tell(archiver)
        outcome = heard(archiver)
        assert texts(everything(engine, lake)) == said
        if outcome == "done":
            break
    assert ended(archiver) == []
    assert step > 15
    assert stored(engine) == []
    assert lake.damage() == ()
