"""The batching event log against Dagster's own: the same rows, the same answers, and no half of a batch.

The storage leans on private methods of Dagster; these tests say what an upgrade of Dagster has to keep.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from resources.event_log import BATCH_SIZE, BatchingSqliteEventLogStorage

PARTITIONS = dg.DailyPartitionsDefinition(start_date="2020-01-06", exclusions=[datetime(2020, 1, 20)])  # noqa: DTZ001
FIRST, SHORT, LAST = "2020-01-07", "2020-01-09", "2020-01-31"
KEYS = PARTITIONS.get_partition_keys_in_range(dg.PartitionKeyRange(FIRST, LAST))
ASSETS = tuple(dg.AssetKey(name) for name in ("bars", "marks", "notes"))
QUIET = "telemetry: {enabled: false}\npython_logs: {python_log_level: ERROR}\n"
BATCHING = "event_log_storage: {module: resources.event_log, class: BatchingSqliteEventLogStorage}\n"
SWITCH = "DAGSTER_EVENT_BATCH_SIZE"


@dg.multi_asset(
    specs=[
        dg.AssetSpec("bars", partitions_def=PARTITIONS, code_version="1"),
        dg.AssetSpec("marks", deps=["bars"], partitions_def=PARTITIONS, code_version="1"),
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def bars_and_marks(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
    """Two assets of one step, with metadata and tags."""
    for name in ("bars", "marks"):
        yield dg.MaterializeResult(
            asset_key=name, metadata={"rows": len(context.partition_keys)}, tags={"desk/kind": name}
        )


@dg.asset(deps=["marks"], code_version="1", partitions_def=PARTITIONS, backfill_policy=dg.BackfillPolicy.single_run())
def notes(context: dg.AssetExecutionContext) -> None:
    """An asset that also observes another."""
    context.log_event(dg.AssetObservation("bars", metadata={"seen": len(context.partition_keys)}))


@dg.asset_check(asset="notes")
def notes_exist() -> dg.AssetCheckResult:
    """Passes."""
    return dg.AssetCheckResult(passed=True)


class Desk:
    """An instance on disk, and its databases as plain rows."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.instance = dg.DagsterInstance.from_config(str(home))

    @property
    def log(self) -> SqliteEventLogStorage:
        """The storage that the instance's configuration names."""
        storage = self.instance.event_log_storage
        assert isinstance(storage, SqliteEventLogStorage)
        return storage

    def materialize(self, last: str = SHORT) -> str:
        """Runs the range job up to a session and returns the run's id."""
        tags = {ASSET_PARTITION_RANGE_START_TAG: FIRST, ASSET_PARTITION_RANGE_END_TAG: last}
        result = dg.materialize([bars_and_marks, notes, notes_exist], instance=self.instance, tags=tags)
        assert result.success
        return result.run_id

    def rows(self, shard: str, query: str) -> list[tuple[Any, ...]]:
        """The answer of one of the event log's databases."""
        with sqlite3.connect(self.log.path_for_shard(shard)) as connection:
            found = connection.execute(query).fetchall()
        connection.close()
        return found


def home(folder: Path, configuration: str = "") -> Path:
    """A Dagster home with that configuration."""
    folder.mkdir()
    (folder / "dagster.yaml").write_text(QUIET + configuration)
    return folder


@pytest.fixture
def stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv(SWITCH, "0")
    desk = Desk(home(tmp_path / "stock"))
    assert type(desk.log) is SqliteEventLogStorage
    with desk.instance:
        yield desk


@pytest.fixture
def batching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv(SWITCH, str(BATCH_SIZE))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "batching"))
    desk = Desk(home(tmp_path / "batching", BATCHING))
    assert type(desk.log) is BatchingSqliteEventLogStorage
    with desk.instance:
        yield desk


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Desk, str, str]]:
    """The same job on two instances: event by event, and in batches; with the ids of the runs. Tests only read them."""
    folder = tmp_path_factory.mktemp("both")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, "0")
        patch.setenv("DAGSTER_HOME", str(folder / "batching"))
        stock, batching = Desk(home(folder / "stock")), Desk(home(folder / "batching", BATCHING))
        with stock.instance, batching.instance:
            slow = stock.materialize(LAST)
            patch.setenv(SWITCH, str(BATCH_SIZE))
            yield stock, batching, slow, batching.materialize(LAST)


INDEX_ROWS = """
    select dagster_event_type, coalesce(step_key, ''), asset_key, coalesce(partition, ''), event from event_logs
    where asset_key is not null order by 1, 2, 3, 4
"""


def told(event: str) -> Any:
    """What a serialized event says, without the run, the moment and the process it is from."""
    hidden = {"run_id", "timestamp", "pid", "message", "user_message", "storage_id", "logging_tags"}

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(inner) for key, inner in value.items() if key not in hidden and not _points(key)}
        return [without(inner) for inner in value] if isinstance(value, list) else value

    return without(json.loads(event))


def _points(key: str) -> bool:
    """Whether a tag holds the row number of another event."""
    return key.startswith(("dagster/input_event_pointer", "dagster/data_version", "dagster/input_data_version"))


def test_the_index_holds_the_same_asset_events(both: tuple[Desk, Desk, str, str]) -> None:
    stock, batching, _, _ = both
    slow, fast = stock.rows("index", INDEX_ROWS), batching.rows("index", INDEX_ROWS)
    assert [row[:4] for row in fast] == [row[:4] for row in slow]
    assert [told(row[4]) for row in fast] == [told(row[4]) for row in slow]
    materialized = [row for row in fast if row[0] == "ASSET_MATERIALIZATION"]
    assert len(materialized) == len(ASSETS) * len(KEYS) == 3 * 24


def test_the_runs_hold_the_same_events(both: tuple[Desk, Desk, str, str]) -> None:
    stock, batching, slow, fast = both
    query = "select dagster_event_type, count(*) from event_logs group by 1 order by 1"
    assert batching.rows(fast, query) == stock.rows(slow, query)
    assert len(batching.instance.all_logs(fast)) == len(stock.instance.all_logs(slow))
    for name in ("steps_succeeded", "steps_failed", "materializations", "expectations"):
        assert getattr(batching.instance.get_run_stats(fast), name) == getattr(stock.instance.get_run_stats(slow), name)


def test_the_instance_answers_the_same_questions(both: tuple[Desk, Desk, str, str]) -> None:
    stock, batching, _, fast = both
    for key in ASSETS:
        partitions = batching.instance.get_materialized_partitions(key)
        assert partitions == stock.instance.get_materialized_partitions(key) == set(KEYS)
        newest, expected = (desk.instance.get_latest_materialization_event(key) for desk in (batching, stock))
        assert newest is not None
        assert expected is not None
        assert newest.run_id == fast
        assert told(dg.serialize_value(newest)) == told(dg.serialize_value(expected))
        counts = [desk.log.get_materialized_partitions(key, before_cursor=10**9) for desk in (batching, stock)]
        assert counts[0] == counts[1]
    assert batching.instance.all_asset_keys() == stock.instance.all_asset_keys()


def test_the_asset_rows_agree_with_the_events(both: tuple[Desk, Desk, str, str]) -> None:
    stock, batching, _, fast = both
    query = "select asset_key, last_materialization, last_run_id, wipe_timestamp from asset_keys order by 1"
    slow_rows, fast_rows = stock.rows("index", query), batching.rows("index", query)
    assert [(row[0], told(row[1]), row[3]) for row in fast_rows] == [
        (row[0], told(row[1]), row[3]) for row in slow_rows
    ]
    assert {row[2] for row in fast_rows} == {fast}
    newest = dict(
        batching.rows(
            "index",
            "select asset_key, max(id) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' group by 1",
        )
    )
    assert {row[0]: json.loads(row[1])["storage_id"] for row in fast_rows} == newest


def test_tags_belong_to_the_same_partitions(both: tuple[Desk, Desk, str, str]) -> None:
    stock, batching, _, _ = both
    query = """
        select t.asset_key, e.partition, t.key, t.value from asset_event_tags t join event_logs e on e.id = t.event_id
        where t.key like 'desk/%' order by 1, 2, 3
    """
    assert batching.rows("index", query) == stock.rows("index", query)


# Batches by hand


def entries(desk: Desk, kind: DagsterEventType = DagsterEventType.ASSET_MATERIALIZATION) -> Sequence[EventLogEntry]:
    """The asset events of one type that a run on the instance stored, in their order."""
    run_id = desk.materialize()
    return [entry for entry in desk.instance.all_logs(run_id) if entry.dagster_event_type is kind]


def shards(desk: Desk, run_id: str) -> tuple[int, int]:
    """Events in the run's database and in the index."""
    count = "select count(*) from event_logs"
    return desk.rows(run_id, count)[0][0], desk.rows("index", count)[0][0]


def refuse(desk: Desk, shard: str, partition: str) -> None:
    """Makes one of the databases refuse the event of a partition, as a full disk in the middle of a batch would."""
    with sqlite3.connect(desk.log.path_for_shard(shard)) as connection:
        connection.execute(
            f"create trigger refusal before insert on event_logs when new.partition = '{partition}' "
            "begin select raise(abort, 'refused'); end"
        )
    connection.close()


@pytest.mark.parametrize("shard", ["run", "index"])
def test_a_batch_that_a_database_refuses_ends_like_single_events(batching: Desk, stock: Desk, shard: str) -> None:
    """F29: a refused event is refused; what stood before it in the batch is there once, and nothing else is."""
    left = []
    for desk in (batching, stock):
        events = entries(desk)
        run_id = events[0].run_id
        before = shards(desk, run_id)
        refuse(desk, run_id if shard == "run" else "index", KEYS[1])
        with pytest.raises(sa.exc.IntegrityError, match="refused"):
            desk.log.store_event_batch(events)
        after = shards(desk, run_id)
        left.append((after[0] - before[0], after[1] - before[1]))
    assert left[0] == left[1] == ((1, 1) if shard == "run" else (2, 1))


class Stumbling(BatchingSqliteEventLogStorage):
    """Fails once in the middle of a batch, after the run's database has it and while the index takes it."""

    stumbles = 1

    def _store_asset_event(self, conn: sa.Connection, event: EventLogEntry, event_id: int) -> None:
        if self.stumbles:
            self.stumbles -= 1
            raise sa.exc.OperationalError("insert", None, sqlite3.OperationalError("database is locked"))
        super()._store_asset_event(conn, event, event_id)


def test_a_batch_that_fails_in_passing_is_stored_once_in_both_databases(batching: Desk) -> None:
    """F29: the half that the run's database had taken is removed before the events are stored one by one."""
    events = entries(batching)
    run, index = shards(batching, events[0].run_id)
    log = Stumbling(batching.log.path_for_shard("index").removesuffix("/index.db"))
    log.register_instance(batching.instance)
    log.store_event_batch(events)
    assert log.stumbles == 0
    assert shards(batching, events[0].run_id) == (run + len(events), index + len(events))


def test_a_batch_is_one_more_of_each_event_in_both_databases(batching: Desk) -> None:
    events = entries(batching)
    run, index = shards(batching, events[0].run_id)
    batching.log.store_event_batch(events)
    assert shards(batching, events[0].run_id) == (run + len(events), index + len(events))


def test_batches_of_several_types_or_runs_are_stored_like_single_events(batching: Desk, stock: Desk) -> None:
    """A batch in which one asset is materialized and then observed keeps the materialization as its newest."""
    for desk in (batching, stock):
        one, other = entries(desk), entries(desk)
        observed = entries(desk, DagsterEventType.ASSET_OBSERVATION)
        desk.log.store_event_batch([*one[:3], *observed, *other[-2:], *observed])
    query = "select asset_key, last_materialization from asset_keys order by 1"
    fast, slow = batching.rows("index", query), stock.rows("index", query)
    assert [(row[0], told(row[1])) for row in fast] == [(row[0], told(row[1])) for row in slow]
    count = "select dagster_event_type, count(*) from event_logs group by 1 order by 1"
    assert batching.rows("index", count) == stock.rows("index", count)


def test_events_without_assets_go_the_stock_way(batching: Desk, stock: Desk) -> None:
    for desk in (batching, stock):
        ends = entries(desk, DagsterEventType.STEP_SUCCESS)
        desk.log.store_event_batch([*ends, *entries(desk)])
        desk.log.store_event_batch([])
    count = "select dagster_event_type, count(*) from event_logs group by 1 order by 1"
    assert batching.rows("index", count) == stock.rows("index", count)


# Checks


def test_a_check_of_a_range_is_planned_and_answered_by_one_row(both: tuple[Desk, Desk, str, str]) -> None:
    """The one difference to the stock storage, which plans a row per partition and never answers them."""
    stock, batching, _, _ = both
    query = "select check_name, partition, execution_status from asset_check_executions order by 2"
    assert batching.rows("index", query) == [("notes_exist", None, "SUCCEEDED")]
    assert ("notes_exist", KEYS[0], "PLANNED") in stock.rows("index", query)


def test_the_newest_answer_of_a_check_is_found(both: tuple[Desk, Desk, str, str]) -> None:
    _, batching, _, fast = both
    key = dg.AssetCheckKey(ASSETS[2], "notes_exist")
    (record,) = batching.log.get_asset_check_execution_history(key, limit=5)
    assert (record.run_id, record.status.value) == (fast, "SUCCEEDED")


# Configuration


def test_the_storage_switches_batching_on_unless_the_operator_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home(tmp_path / "batching", BATCHING)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv(SWITCH, "7")
    with Desk(folder).instance:
        assert os.environ[SWITCH] == "7"
    monkeypatch.delenv(SWITCH)
    with Desk(folder).instance:
        assert os.environ[SWITCH] == str(BATCH_SIZE)


def test_the_storage_of_an_instance_reads_what_the_stock_storage_wrote(
    stock: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Switching over, and back, keeps the history: files and schema are the stock ones."""
    run_id = stock.materialize()
    monkeypatch.setenv("DAGSTER_HOME", str(stock.home))
    (stock.home / "dagster.yaml").write_text(QUIET + BATCHING)
    with Desk(stock.home).instance as instance:
        assert instance.get_materialized_partitions(ASSETS[0]) == set(KEYS[:3])
        assert len(instance.all_logs(run_id)) == len(stock.instance.all_logs(run_id))
