"""Rows of the lake as evidence: each with its table, lane, key, the write that it comes from, and the digest of its content."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from trading_assets.core.journal import canonical, sha256
from trading_assets.core.ports import Lake, Span
from trading_assets.core.tables import FACTS, Table

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One row. `version` names the write that it comes from, `sha256` covers the canonical JSON of all its columns."""

    table: str
    lane: str
    key: Mapping[str, Any]
    version: str
    sha256: str
    row: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The row for `--json`."""
        return {
            "table": self.table,
            "lane": self.lane,
            "key": self.key,
            "version": self.version,
            "sha256": self.sha256,
            "row": self.row,
        }


class LakeWitness:
    """Reads rows of one lane, and facts, and says where each comes from."""

    def __init__(self, lake: Lake, lane: str) -> None:
        self._lake = lake
        self._lane = lane

    def rows(
        self, table: Table, span: Span, *, as_of: datetime, facts: bool = False, **where: Collection[Any]
    ) -> tuple[Seen, ...]:
        """Rows of a span that were knowable at an instant and whose columns hold one of the given values, in order of key."""
        lane = FACTS if facts else self._lane
        frame = self._lake.read(table, as_of=as_of, lane=lane, first=span.first, last=span.last)
        found = [
            row for row in frame.iter_rows(named=True) if all(row[name] in values for name, values in where.items())
        ]
        return tuple(self._seen(table, lane, found))

    def _seen(self, table: Table, lane: str, rows: list[dict[str, Any]]) -> Iterator[Seen]:
        if not rows:
            return
        days = [row["session"] for row in rows]
        versions = self._lake.versions(table, Span(min(days), max(days)), lane=lane)
        for row in rows:
            plain = plain_row(row)
            key = {name: plain[name] for name in table.key}
            yield Seen(table.name, lane, key, versions[row["session"]], sha256(canonical(plain)), plain)


def plain_row(row: Row) -> dict[str, Any]:
    """The row as JSON: days and instants in ISO form, amounts as text, a number that is none as null."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
