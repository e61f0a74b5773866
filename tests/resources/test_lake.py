"""The lake's promises, on real files: what is read, what replaces what, and what stays as it is."""

import multiprocessing
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.lake import ParquetLake
from tests.resources.lakes import DAYS, LATEST, NOTES, files, merge_repeatedly, notes, python, span, values
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import LakeDamaged, PermanentFailure, TableMismatch
from trading_assets.core.ports import Span

SYMBOLS = ("AAA", "BBB", "CCC")


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    return ParquetLake(tmp_path)


# Round trip


def test_what_is_written_comes_back_unchanged_and_sorted_by_key(lake: ParquetLake) -> None:
    frame = notes(DAYS[:3], SYMBOLS)
    lake.write(NOTES, frame.reverse(), span(0, 2))
    assert lake.read(NOTES, as_of=LATEST).equals(frame)


def test_special_numbers_and_empty_values_come_back_to_the_bit(lake: ParquetLake) -> None:
    special = [float("nan"), float("inf"), 5e-324]
    frame = notes(DAYS[:3]).with_columns(pl.Series("value", special), pl.Series("remark", [None, "", "naïve — 株"]))
    lake.write(NOTES, frame, span(0, 2))
    assert lake.read(NOTES, as_of=LATEST).equals(frame)
    assert not lake.write(NOTES, frame, span(0, 2)).changed


def test_an_empty_lake_has_the_declared_columns_and_no_row(lake: ParquetLake) -> None:
    frame = lake.read(NOTES, as_of=LATEST)
    assert frame.is_empty()
    assert dict(frame.schema) == dict(NOTES.polars_schema())
    assert lake.versions(NOTES, span(0, 59)) == {}


def test_a_session_without_rows_is_stored_as_such(lake: ParquetLake) -> None:
    written = lake.write(NOTES, NOTES.empty(), span(0))
    assert written.changed
    assert lake.versions(NOTES, span(0, 3)) == {DAYS[0]: written.version}


def test_reading_narrows_by_sessions_and_symbols(lake: ParquetLake) -> None:
    lake.write(NOTES, notes(DAYS[:5], SYMBOLS), span(0, 4))
    frame = lake.read(NOTES, as_of=LATEST, first=DAYS[1], last=DAYS[2], symbols=["BBB"])
    assert frame.select("session", "symbol").rows() == [(DAYS[1], "BBB"), (DAYS[2], "BBB")]


def test_lanes_and_tables_do_not_see_each_other(lake: ParquetLake) -> None:
    lake.write(NOTES, notes(DAYS[:1], value=1.0), span(0), lane="desk")
    lake.write(NOTES, notes(DAYS[:1], value=2.0), span(0), lane="backtest")
    assert values(lake, lane="desk") == {(DAYS[0], "AAA"): 1.0}
    assert values(lake, lane="backtest") == {(DAYS[0], "AAA"): 2.0}
    assert values(lake) == {}


def test_a_path_with_wildcards_is_a_path(tmp_path: Path) -> None:
    odd = ParquetLake(tmp_path / "a [b] * ? %20 {c}")
    odd.write(NOTES, notes(DAYS[:1]), span(0))
    assert len(values(odd)) == 1


# The moment


@settings(deadline=None, max_examples=20)
@given(
    known=st.lists(st.integers(-3_000, 3_000), min_size=1, max_size=12),
    cut=st.integers(-3_000, 3_000),
    in_new_york=st.booleans(),
)
def test_no_row_is_returned_before_it_was_knowable(known: list[int], cut: int, *, in_new_york: bool) -> None:
    noon = datetime.combine(DAYS[0], datetime.min.time(), NEW_YORK) + timedelta(hours=12)
    moments = [noon + timedelta(seconds=seconds) for seconds in known]
    as_of = noon + timedelta(seconds=cut)
    frame = pl.concat([notes(DAYS[:1], [f"S{n:02}"], known=moment) for n, moment in enumerate(moments)])
    with tempfile.TemporaryDirectory() as root:
        lake = ParquetLake(Path(root))
        lake.write(NOTES, frame, span(0))
        seen = lake.read(NOTES, as_of=as_of if in_new_york else as_of.astimezone(UTC))
    assert seen["symbol"].to_list() == [f"S{n:02}" for n, moment in enumerate(moments) if moment <= as_of]


def test_a_row_is_visible_from_the_very_microsecond_that_it_is_knowable(lake: ParquetLake) -> None:
    close = XNYS.session(DAYS[0]).close
    lake.write(NOTES, notes(DAYS[:1]), span(0))
    assert lake.read(NOTES, as_of=close - timedelta(microseconds=1)).is_empty()
    assert lake.read(NOTES, as_of=close).height == 1


def test_a_moment_without_a_time_zone_is_refused(lake: ParquetLake) -> None:
    with pytest.raises(PermanentFailure, match="time zone"):
        lake.read(NOTES, as_of=datetime(2020, 1, 2))  # noqa: DTZ001 - that is the point


# Refusals


def test_rows_outside_the_span_are_refused(lake: ParquetLake) -> None:
    with pytest.raises(TableMismatch, match=f"outside .*{DAYS[2]}"):
        lake.write(NOTES, notes(DAYS[:3]), span(0, 1))
    assert values(lake) == {}


def test_rows_of_a_closed_day_are_refused(lake: ParquetLake) -> None:
    saturday = next(day for n in range(7) if (day := DAYS[0] + timedelta(days=n)).weekday() == 5)
    frame = notes(DAYS[:1]).with_columns(pl.lit(saturday).alias("session"))
    with pytest.raises(TableMismatch, match=str(saturday)):
        lake.write(NOTES, frame, Span(DAYS[0], DAYS[9]))
    with pytest.raises(TableMismatch, match="need a span with a session"):
        lake.write(NOTES, NOTES.empty(), Span(saturday, saturday))


def test_other_columns_types_duplicates_and_empty_values_are_refused(lake: ParquetLake) -> None:
    frame = notes(DAYS[:2])
    wrong = {
        "does not fit": frame.drop("remark"),
        "not declared": frame.with_columns(extra=1),
        "String": frame.with_columns(pl.col("value").cast(pl.String)),
        "same key twice": pl.concat([frame, frame]),
        "empty values": frame.with_columns(value=pl.lit(None, pl.Float64)),
    }
    for sentence, each in wrong.items():
        with pytest.raises(TableMismatch, match=sentence):
            lake.write(NOTES, each, span(0, 1))
    assert values(lake) == {}


def test_a_merge_refuses_rows_that_it_does_not_replace(lake: ParquetLake) -> None:
    with pytest.raises(TableMismatch, match="not of what is being replaced.*BBB"):
        lake.merge(NOTES, notes(DAYS[:1], SYMBOLS), span(0), replacing={"symbol": ["AAA", "CCC"]})


def test_a_foreign_parquet_file_is_refused_by_name(lake: ParquetLake, tmp_path: Path) -> None:
    lake.write(NOTES, notes(DAYS[:1]), span(0))
    foreign = files(tmp_path)[0].with_name("export.parquet")
    foreign.write_bytes(files(tmp_path)[0].read_bytes())
    with pytest.raises(LakeDamaged, match=r"export\.parquet.*move it out"):
        lake.read(NOTES, as_of=LATEST)
    assert lake.damage() == (f"facts/notes/{foreign.name}: a file in the lake has a name that no writer gives",)


# Newest wins


def test_one_session_rewritten_inside_a_backfill_leaves_the_other_sessions(lake: ParquetLake) -> None:
    whole = lake.write(NOTES, notes(DAYS[:5], value=1.0), span(0, 4))
    one = lake.write(NOTES, notes(DAYS[2:3], value=2.0), span(2))
    assert list(values(lake).values()) == [1.0, 1.0, 2.0, 1.0, 1.0]
    expected = dict.fromkeys(DAYS[:5], whole.version) | {DAYS[2]: one.version}
    assert lake.versions(NOTES, span(0, 9)) == expected


def test_a_write_with_fewer_rows_leaves_none_of_the_old_ones(lake: ParquetLake) -> None:
    lake.write(NOTES, notes(DAYS[:2], SYMBOLS), span(0, 1))
    lake.write(NOTES, notes(DAYS[:1], ["BBB"]), span(0, 1))
    assert list(values(lake)) == [(DAYS[0], "BBB")]


def test_equal_content_is_not_rewritten(lake: ParquetLake, tmp_path: Path) -> None:
    first = lake.write(NOTES, notes(DAYS[:5], SYMBOLS), span(0, 4))
    again = lake.write(NOTES, notes(DAYS[:5], SYMBOLS), span(0, 4))
    assert (again.version, again.changed, again.rows) == (first.version, False, 15)
    assert len(files(tmp_path)) == 1


def test_equal_content_of_a_part_of_a_bigger_file_is_not_rewritten(lake: ParquetLake, tmp_path: Path) -> None:
    whole = lake.write(NOTES, notes(DAYS[:5]), span(0, 4))
    part = lake.write(NOTES, notes(DAYS[1:3]), span(1, 2))
    assert (part.version, part.changed) == (whole.version, False)
    assert len(files(tmp_path)) == 1


def test_sessions_written_one_by_one_are_not_rewritten_by_an_equal_range_over_a_weekend(lake: ParquetLake) -> None:
    for position in range(10):
        newest = lake.write(NOTES, notes([DAYS[position]]), span(position))
    before = lake.versions(NOTES, span(0, 9))
    together = lake.write(NOTES, notes(DAYS[:10]), span(0, 9))
    assert (together.version, together.changed) == (newest.version, False)
    assert lake.versions(NOTES, span(0, 9)) == before


def test_equal_rows_over_more_sessions_are_written_because_the_sessions_are_new(lake: ParquetLake) -> None:
    lake.write(NOTES, notes(DAYS[:2]), span(0, 1))
    assert lake.write(NOTES, notes(DAYS[:2]), span(0, 2)).changed
    assert len(lake.versions(NOTES, span(0, 9))) == 3


def test_a_merge_keeps_what_it_does_not_replace(lake: ParquetLake) -> None:
    lake.write(NOTES, notes(DAYS[:2], SYMBOLS, 1.0), span(0, 1))
    lake.merge(NOTES, notes(DAYS[:1], ["BBB"], 2.0), span(0, 1), replacing={"symbol": ["BBB"]})
    expected = {(day, symbol): 1.0 for day in DAYS[:2] for symbol in SYMBOLS if symbol != "BBB"}
    assert values(lake) == expected | {(DAYS[0], "BBB"): 2.0}


def test_a_merge_keeps_rows_whose_value_is_empty(lake: ParquetLake) -> None:
    lake.write(NOTES, notes(DAYS[:1]), span(0))
    marked = notes(DAYS[:1], ["BBB"]).with_columns(remark=pl.lit("x"))
    lake.merge(NOTES, marked, span(0), replacing={"remark": ["x"]})
    assert list(values(lake)) == [(DAYS[0], "AAA"), (DAYS[0], "BBB")]


def test_an_equal_merge_changes_nothing(lake: ParquetLake) -> None:
    first = lake.write(NOTES, notes(DAYS[:2], SYMBOLS), span(0, 1))
    again = lake.merge(NOTES, notes(DAYS[:2], ["AAA"]), span(0, 1), replacing={"symbol": ["AAA"]})
    assert (again.version, again.changed) == (first.version, False)


def test_forgotten_sessions_are_not_stored_any_more(lake: ParquetLake) -> None:
    version = lake.write(NOTES, notes(DAYS[:5]), span(0, 4), lane="backtest").version
    lake.forget(NOTES, Span(DAYS[3], date.max), lane="backtest")
    assert [day for day, _ in values(lake, lane="backtest")] == list(DAYS[:3])
    assert lake.versions(NOTES, span(0, 9), lane="backtest") == dict.fromkeys(DAYS[:3], version)


def test_forgetting_what_was_never_stored_writes_nothing(lake: ParquetLake, tmp_path: Path) -> None:
    lake.write(NOTES, notes(DAYS[:2]), span(0, 1))
    lake.forget(NOTES, span(5, 9), lane="facts")
    assert [path.suffix for path in (tmp_path / "facts" / "notes").iterdir() if path.name != ".lock"] == [".parquet"]


def test_what_is_written_after_forgetting_counts(lake: ParquetLake) -> None:
    lake.write(NOTES, notes(DAYS[:3], value=1.0), span(0, 2))
    lake.forget(NOTES, Span(date.min, date.max), lane="facts")
    written = lake.write(NOTES, notes(DAYS[1:2], value=1.0), span(1))
    assert written.changed
    assert values(lake) == {(DAYS[1], "AAA"): 1.0}
    assert lake.damage() == ()


# Any history of writes, merges and forgettings


@dataclass
class Shelf:
    """The lake as a dictionary: what each session holds, and which write put it there."""

    rows: dict[int, dict[str, float]] = field(default_factory=dict)
    versions: dict[int, str] = field(default_factory=dict)

    def put(self, positions: range, rows: dict[int, dict[str, float]]) -> bool:
        """Takes the rows of the positions and says whether that changes anything."""
        wanted = {position: rows.get(position, {}) for position in positions}
        changed = any(self.rows.get(position) != content for position, content in wanted.items())
        self.rows.update(wanted)
        return changed


Step = tuple[str, int, int, dict[tuple[int, str], int]]
cells = st.dictionaries(st.tuples(st.integers(0, 11), st.sampled_from(SYMBOLS)), st.integers(0, 2), max_size=12)
steps = st.lists(
    st.tuples(st.sampled_from(["write", "write", "merge", "forget"]), st.integers(0, 11), st.integers(0, 11), cells),
    max_size=12,
)


@settings(deadline=None, max_examples=30)
@given(history=steps)
def test_after_any_history_each_session_is_what_the_newest_write_made_it(history: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as root:
        lake, shelf = ParquetLake(Path(root)), Shelf()
        for step in history:
            _apply(lake, shelf, step)
            assert values(lake) == {
                (DAYS[position], symbol): value
                for position, content in sorted(shelf.rows.items())
                for symbol, value in sorted(content.items())
            }
            assert lake.versions(NOTES, span(0, 11)) == {DAYS[p]: v for p, v in sorted(shelf.versions.items())}
        assert lake.damage() == ()


def _apply(lake: ParquetLake, shelf: Shelf, step: Step) -> None:
    kind, one, other, content = step
    positions = range(min(one, other), max(one, other) + 1)
    where = span(positions[0], positions[-1])
    if kind == "forget":
        lake.forget(NOTES, where, lane="facts")
        for position in positions:
            shelf.rows.pop(position, None)
            shelf.versions.pop(position, None)
        return
    replaced = {"BBB"} if kind == "merge" else set(SYMBOLS)
    rows = {position: dict(_kept(shelf, position, replaced)) for position in positions}
    frames = [NOTES.empty()]
    for (position, symbol), value in content.items():
        if position in positions and symbol in replaced:
            rows[position][symbol] = value
            frames.append(notes([DAYS[position]], [symbol], value))
    frame = pl.concat(frames)
    changes = shelf.put(positions, rows)
    written = (
        lake.merge(NOTES, frame, where, replacing={"symbol": ["BBB"]})
        if kind == "merge"
        else lake.write(NOTES, frame, where)
    )
    assert written.changed == changes
    if changes:
        shelf.versions.update(dict.fromkeys(positions, written.version))
    assert written.version == shelf.versions[positions[-1]]


def _kept(shelf: Shelf, position: int, replaced: set[str]) -> Iterator[tuple[str, float]]:
    return ((symbol, value) for symbol, value in shelf.rows.get(position, {}).items() if symbol not in replaced)


# Several processes


def test_processes_that_merge_different_symbols_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    rounds, symbols = 40, [*SYMBOLS, "DDD"]
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=merge_repeatedly, args=(str(tmp_path), symbol, rounds)) for symbol in symbols]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * len(workers)
    assert values(ParquetLake(tmp_path)) == {(DAYS[0], symbol): rounds for symbol in symbols}
    assert len(files(tmp_path)) == rounds * len(symbols), "each generation is given once"


def test_a_reader_never_sees_a_part_of_a_write_of_another_process(tmp_path: Path) -> None:
    writer = python("write_until_killed(sys.argv[1])", tmp_path)
    assert writer.stdout is not None
    writer.stdout.readline()
    lake = ParquetLake(tmp_path)
    seen: list[float] = []
    while len(set(seen)) < 25:
        frame = lake.read(NOTES, as_of=LATEST)
        assert frame.height == 20 * 50
        assert frame["value"].n_unique() == 1
        seen.append(frame["value"][0])
    writer.kill()
    writer.communicate()
    assert seen == sorted(seen), "a reader never goes back"
