"""A run's log that is copied is the one that Dagster would have made."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from resources.launching import run_files
from resources.launching.run_files import QuickEventLogStorage

RUN, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[QuickEventLogStorage]:
    storage = QuickEventLogStorage(str(tmp_path / "quick"))
    yield storage
    storage.dispose()


def _entry(run_id: str, message: str = "m") -> EventLogEntry:
    return EventLogEntry(error_info=None, level=10, user_message=message, run_id=run_id, timestamp=1.0)  # type: ignore[no-untyped-call]


def _made(path: Path) -> tuple[list[tuple[str, str]], str, str]:
    """Every table and index as it was created, the version, the journal's mode."""
    with closing(sqlite3.connect(path)) as file:
        schema = file.execute("select name, sql from sqlite_master where sql is not null order by name").fetchall()
        version = file.execute("select version_num from alembic_version").fetchone()[0]
        return schema, version, file.execute("pragma journal_mode").fetchone()[0]


def test_the_file_of_a_run_is_the_stock_one(quick: QuickEventLogStorage, tmp_path: Path) -> None:
    stock = SqliteEventLogStorage(str(tmp_path / "stock"))
    for storage in (stock, quick):
        storage.store_event(_entry(RUN))
    assert _made(Path(quick.path_for_shard(RUN))) == _made(Path(stock.path_for_shard(RUN)))
    assert quick.get_all_run_ids() == [RUN]
    stock.dispose()


def test_what_one_process_wrote_another_reads(quick: QuickEventLogStorage, tmp_path: Path) -> None:
    quick.store_event(_entry(RUN, "kept"))
    for again in (SqliteEventLogStorage(str(tmp_path / "quick")), QuickEventLogStorage(str(tmp_path / "quick"))):
        assert [entry.user_message for entry in again.get_logs_for_run(RUN)] == ["kept"]
        again.dispose()


def test_two_who_write_the_first_event_at_once_lose_none(quick: QuickEventLogStorage, tmp_path: Path) -> None:
    storages = [QuickEventLogStorage(str(tmp_path / "quick")) for _ in range(4)]
    begin = threading.Barrier(len(storages))

    def write(number: int) -> None:
        begin.wait()
        storages[number].store_event(_entry(RUN, str(number)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(storages))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry.user_message for entry in quick.get_logs_for_run(RUN)) == ["0", "1", "2", "3"]
    assert not list((tmp_path / "quick").glob(".new-*"))


def test_a_file_of_another_version_goes_the_stock_way(quick: QuickEventLogStorage) -> None:
    quick.store_event(_entry(RUN))
    path = Path(quick.path_for_shard(OTHER))
    path.touch()
    quick.store_event(_entry(OTHER, "told"))
    assert _made(path) == _made(Path(quick.path_for_shard(RUN)))
    assert [entry.user_message for entry in quick.get_logs_for_run(OTHER)] == ["told"]


def test_a_file_that_is_there_is_never_written_over(quick: QuickEventLogStorage, tmp_path: Path) -> None:
    quick.get_ready()
    path = tmp_path / "precious"
    path.write_bytes(b"precious")
    run_files._place(path, b"other")
    assert path.read_bytes() == b"precious"


def test_the_version_of_what_is_no_database_is_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database")
    assert run_files._version(tmp_path / "text") == ""
    assert run_files._version(tmp_path / "missing") == ""


def test_a_run_in_this_process_is_recorded_whole(home: object, tmp_path: Path) -> None:
    @dg.op
    def one() -> int:
        return 1

    @dg.job
    def counts() -> None:
        one()

    (tmp_path / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "event_log_storage: {module: resources.launching.run_files, class: QuickEventLogStorage}\n"
    )
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        result = counts.execute_in_process(instance=instance)
        kinds = [entry.dagster_event_type for entry in instance.all_logs(result.run_id) if entry.is_dagster_event]
        assert dg.DagsterEventType.RUN_SUCCESS in kinds
