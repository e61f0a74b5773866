"""The lake on a local folder: immutable Parquet files, one for each write, newest wins session by session.

A write goes to a temporary name, is synced, and is then renamed; readers see the old file or the new one and never a part of
either. Where files overlap, each session is read from the file with the highest generation that covers it, so re-running one day
of a ten-year backfill adds one small file. An empty file that ends in `.gone` instead hides the sessions of older files.
Generations are handed out under a lock that the kernel drops when its holder dies. Names and digests: `resources/lake_files.py`.

Small files are put together by `compact`, and then removed. The new file remembers, session by session, which write its rows come
from: the version of a session, and with it every verdict on that version, stays what it was. A reader whose files vanish lists
the folder anew.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

import polars as pl

from resources.compaction import Compacted, compact_folder
from resources.lake_files import (
    Stored,
    Vanished,
    anew,
    content_of,
    holders,
    listed,
    locked,
    problem_of,
    scan,
    sessions_of,
    store,
    store_gone,
)
from trading_assets.core.errors import LakeDamaged, PermanentFailure, TableMismatch
from trading_assets.core.ports import Span, Written
from trading_assets.core.tables import FACTS, Table

_LISTINGS_MAX = 10
Answer = TypeVar("Answer")


class ParquetLake:
    """The Lake port over a folder: `<root>/<lane>/<table>/`.

    Every method raises LakeDamaged for a file that is not what its name says, PermanentFailure where the folder may not be read or
    written, and TransientFailure where the disk is full or fails. None of them leaves a part of a write that a reader could see.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(
        self,
        table: Table,
        *,
        as_of: datetime,
        lane: str = FACTS,
        first: date | None = None,
        last: date | None = None,
        symbols: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """See the port. `as_of` must carry a time zone."""
        if as_of.tzinfo is None:
            raise PermanentFailure("as_of must carry a time zone", value=as_of)
        only = [pl.col("knowable_at") <= as_of.astimezone(UTC)]
        if symbols is not None:
            only.append(_any_of("symbol", symbols))
        span = Span(first or date.min, last or date.max)
        return _sorted(_retried(lambda: _rows(table, self._holders(table, lane, span), only)), table.key)

    def write(self, table: Table, frame: pl.DataFrame, span: Span, *, lane: str = FACTS) -> Written:
        """See the port. A damaged file does not stand in the way of its replacement."""
        rows = _inside(table, table.conform(frame), span)
        with locked(self._folder(table, lane)):
            return self._publish(table, lane, rows, span)

    def merge(
        self,
        table: Table,
        frame: pl.DataFrame,
        span: Span,
        *,
        replacing: Mapping[str, Sequence[str]],
        lane: str = FACTS,
    ) -> Written:
        """See the port."""
        rows = _inside(table, table.conform(frame), span)
        matches = pl.all_horizontal(
            pl.col(column).is_in(list(values)).fill_null(value=False) for column, values in replacing.items()
        )
        strangers = rows.filter(~matches).select(list(replacing)).unique()
        if strangers.height:
            raise TableMismatch(
                f"rows for {table.name} are not of what is being replaced", value=strangers.rows()[:3], bound=replacing
            )
        with locked(self._folder(table, lane)):
            others = _rows(table, self._holders(table, lane, span)).filter(~matches)
            together = table.conform(pl.concat([others, rows]))
            return self._publish(table, lane, together, span)

    def versions(self, table: Table, span: Span, *, lane: str = FACTS) -> Mapping[date, str]:
        """See the port. A compaction changes no version."""
        return _retried(lambda: {day: s.version(day) for day, s in self._holders(table, lane, span).items()})

    def forget(self, table: Table, span: Span, *, lane: str) -> None:
        """Hides the span's sessions: results of a path that is being walked anew. Stored files stay as they are."""
        with locked(self._folder(table, lane)) as folder:
            held = self._holders(table, lane, span)
            if held:
                store_gone(folder, Span(min(held), max(held)))

    def compact(self, table: Table, *, lane: str = FACTS, sessions_min: int) -> Compacted:
        """Puts runs of small files of a table together; see `compaction.compact_folder`."""
        return compact_folder(self._folder(table, lane), sessions_min=sessions_min)

    def folders(self) -> tuple[tuple[str, str], ...]:
        """Lane and table of every folder in the lake, sorted."""
        return tuple(sorted((path.parent.name, path.name) for path in self._root.glob("*/*") if path.is_dir()))

    def compact_folder(self, lane: str, name: str, *, sessions_min: int) -> Compacted:
        """The same as `compact`, for a table known by its name."""
        return compact_folder(self._root / lane / name, sessions_min=sessions_min)

    def damage(self) -> tuple[str, ...]:
        """One sentence per file whose bytes or name no writer made, or that a killed writer left behind."""
        problems = []
        for lane, name in self.folders():
            for path in sorted((self._root / lane / name).iterdir()):
                problem = problem_of(path)
                if problem:
                    problems.append(f"{path.relative_to(self._root)}: {problem}")
        return tuple(problems)

    def _publish(self, table: Table, lane: str, rows: pl.DataFrame, span: Span) -> Written:
        held = self._holders(table, lane, span)
        if len(held) == len(sessions_of(span.first, span.last)) and _same(table, held, rows):
            newest = max(held)
            return Written(held[newest].version(newest), rows.height, changed=False)
        path = store(self._folder(table, lane), span, content_of(rows))
        return Written(path.stem, rows.height, changed=True)

    def _holders(self, table: Table, lane: str, span: Span) -> Mapping[date, Stored]:
        return holders(listed(self._folder(table, lane)), span)

    def _folder(self, table: Table, lane: str) -> Path:
        return self._root / lane / table.name


def _retried(action: Callable[[], Answer]) -> Answer:
    """The action's answer; it lists the folder each time, for files that it listed may be compacted before it opens them."""
    for _ in range(_LISTINGS_MAX - 1):
        try:
            return action()
        except Vanished:
            continue
    return action()


def _rows(table: Table, held: Mapping[date, Stored], only: Sequence[pl.Expr] = ()) -> pl.DataFrame:
    if not held:
        return table.empty()
    try:
        frame = scan(held, only)
    except pl.exceptions.PolarsError as differing:
        raise _other_columns(table, held) from differing
    if dict(frame.schema) != dict(table.polars_schema()):
        raise _other_columns(table, held)
    return frame


def _same(table: Table, held: Mapping[date, Stored], rows: pl.DataFrame) -> bool:
    try:
        return _sorted(_rows(table, held), table.key).equals(rows)
    except LakeDamaged:
        return False


def _other_columns(table: Table, held: Mapping[date, Stored]) -> LakeDamaged:
    """What is wrong with sound files that cannot be read as the table: the first whose columns differ is named."""
    declared = dict(table.polars_schema())
    stored = {path: dict(pl.read_parquet_schema(path)) for path in dict.fromkeys(s.path for s in held.values())}
    path, actual = next((pair for pair in stored.items() if pair[1] != declared), (next(iter(stored)), declared))
    differing = sorted(name for name in declared | actual if actual.get(name) != declared.get(name))
    return LakeDamaged(
        f"{path.name} of table {table.name} is stored with other columns than this version declares",
        value={name: str(actual.get(name, "missing")) for name in differing},
        bound={name: str(declared.get(name, "not declared")) for name in differing},
        hint=anew(path),
    )


def _any_of(column: str, values: Sequence[str]) -> pl.Expr:
    """One value is compared, which skips more of a file than looking it up in a list."""
    return pl.col(column) == values[0] if len(values) == 1 else pl.col(column).is_in(list(values))


def _sorted(frame: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The frame in order of its key; a look is much cheaper than a sort, and files are stored in order."""
    in_order = pl.lit(value=True)
    for column in reversed(key):
        here, before = pl.col(column), pl.col(column).shift(1)
        in_order = (here > before) | ((here == before) & in_order)
    ordered = frame.select(in_order.fill_null(value=True).all()).item()
    return frame if ordered else frame.sort(*key)


def _inside(table: Table, frame: pl.DataFrame, span: Span) -> pl.DataFrame:
    sessions = sessions_of(span.first, span.last)
    if not sessions:
        raise TableMismatch(f"rows for {table.name} need a span with a session", value=f"{span.first} to {span.last}")
    written = frame["session"].unique().sort()
    outside = written.filter(~written.is_in(list(sessions)))
    if outside.len():
        raise TableMismatch(
            f"rows for {table.name} lie outside the sessions being written",
            value=[str(day) for day in outside.head(3)],
            bound=f"sessions from {span.first} to {span.last}",
        )
    return frame
