"""Dagster's SQLite event log with real batches.

Dagster hands the materializations of a range run to the storage in batches (`DAGSTER_EVENT_BATCH_SIZE`), but its SQLite storage
writes each event in four transactions on fresh connections. Here a batch is one insert per database: 8 assets over 526 sessions
are recorded in 3.4 s instead of 89 s (docs/architecture.md). The subclass relies on private methods of the pinned Dagster
version; tests/orchestration/test_event_log.py compares its rows with the stock storage's.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.exc import SQLAlchemyError

BATCH_SIZE = 1000


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """Drop-in for the stock storage: real batches, and one planned row for each check of a range run."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No configuration: the files lie where the stock storage keeps them, under DAGSTER_HOME."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchingSqliteEventLogStorage":
        """Builds the storage from dagster.yaml, and switches Dagster's own batching on for this process."""
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(BATCH_SIZE))
        folder = Path(os.environ["DAGSTER_HOME"]) / "history" / "runs"
        return cls(base_dir=str(folder), inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Stores the asset events of a batch in one transaction per database; all others go the stock way.

        Dagster mixes the planned events of assets and of checks in one batch. A bulk insert that fails leaves nothing behind, and
        its events are then stored one by one.
        """
        bulk = [event for event in events if event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS]
        rest = [event for event in events if not (event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS)]
        super().store_event_batch(rest)
        for alike in _by_run_and_type(bulk):
            try:
                self._store_alike(alike)
            except SQLAlchemyError:
                super().store_event_batch(alike)

    def _store_alike(self, events: Sequence[EventLogEntry]) -> None:
        """Both databases or neither; the stock storage locks one connection at a time, so the two cannot share a transaction."""
        rows = [self._event_to_row(event) for event in events]
        insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
        with self.run_connection(events[0].run_id) as run:
            stored: list[int] = list(run.execute(insert, rows).scalars())
        try:
            self._store_in_index(events, rows, insert)
        except Exception:
            with self.run_connection(events[0].run_id) as run:
                mine = SqlEventLogStorageTable.c.id.between(stored[0], stored[-1])
                run.execute(SqlEventLogStorageTable.delete().where(mine))
            raise

    def _store_in_index(self, events: Sequence[EventLogEntry], rows: list[dict[str, Any]], insert: Any) -> None:
        with self.index_transaction() as index:
            ids: list[int] = list(index.execute(insert, rows).scalars())
            self._store_asset_event_tags(index, events, ids)
            newest = {event.get_dagster_event().asset_key: (event, key) for event, key in zip(events, ids, strict=True)}
            for event, event_id in newest.values():
                self._store_asset_event(index, event, event_id)

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        """One planned row for a check of a range run, as its evaluation will be one row.

        The stock storage plans one row, with the whole event in it, for each partition of the range, and the evaluation of the
        range never answers them: 88 checks over 503 sessions were 44,000 rows that stay "planned" for ever.
        """
        planned = event.get_dagster_event().event_specific_data
        subset = planned.partitions_subset if isinstance(planned, AssetCheckEvaluationPlanned) else None
        if isinstance(planned, AssetCheckEvaluationPlanned) and subset is not None and len(subset) > 1:
            event = _without_partitions(event, planned)
        super()._store_asset_check_evaluation_planned(event, event_id)


def _by_run_and_type(events: Sequence[EventLogEntry]) -> Iterator[list[EventLogEntry]]:
    def kind(event: EventLogEntry) -> tuple[str, str]:
        return event.run_id, event.get_dagster_event().event_type_value

    for _, alike in groupby(sorted(events, key=kind), key=kind):
        yield list(alike)


def _without_partitions(event: EventLogEntry, planned: AssetCheckEvaluationPlanned) -> EventLogEntry:
    whole = AssetCheckEvaluationPlanned(asset_key=planned.asset_key, check_name=planned.check_name)
    return event._replace(dagster_event=event.get_dagster_event()._replace(event_specific_data=whole))
