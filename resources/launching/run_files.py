"""Dagster's event log with a quicker first event of a run.

Dagster keeps the events of each run in an SQLite file of its own. Making one, with its tables, indexes and synced commits, takes
0.2 to 0.6 s between a sensor's request and the queue, and looking up its version in the migration scripts 0.1 s more in every
process that opens it. Here the file is made once and copied, and a file that has the version of that first one needs no scripts.
Whatever else is found goes the stock way.
"""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from sqlalchemy.pool import NullPool

from resources.event_log import BatchingSqliteEventLogStorage

_EMPTY: list[tuple[str, bytes]] = []
_VERSION = "select version_num from alembic_version"


class QuickEventLogStorage(BatchingSqliteEventLogStorage):
    """Drop-in for `BatchingSqliteEventLogStorage`; the files are the same."""

    def get_ready(self) -> None:
        """Makes the file that later ones are copied from; forks of this process have it."""
        if not _EMPTY:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "empty.db"
                engine = sa.create_engine(f"sqlite:///{path}", poolclass=NullPool)
                SqliteEventLogStorage._initdb(self, engine)
                engine.dispose()
                _EMPTY.append((_version(path), path.read_bytes()))

    def _initdb(self, engine: sa.Engine, for_index_shard: bool = False) -> None:
        path = Path(engine.url.database or "")
        if not path.exists() and not for_index_shard:
            self.get_ready()
            _place(path, _EMPTY[0][1])
        if not (_EMPTY and _version(path) == _EMPTY[0][0]):
            super()._initdb(engine, for_index_shard)


def _place(path: Path, content: bytes) -> None:
    """Puts a whole file there at once, unless another process was first."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, path)
        except FileExistsError:
            return


def _version(path: Path) -> str:
    """The version that the file says it has; nothing where it says none."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            return str(file.execute(_VERSION).fetchone()[0])
    except (sqlite3.Error, TypeError):
        return ""
