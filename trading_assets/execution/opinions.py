"""What was said before the sessions of a span, read back from the lake."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from trading_assets.briefs.model import ANALYST_BRIEFS
from trading_assets.briefs.narratives.model import NARRATIVES
from trading_assets.briefs.narratives.rows import narratives_from_rows
from trading_assets.briefs.rows import briefs_from_rows
from trading_assets.core.ports import Lake, Span
from trading_assets.execution.counsel import Opinions
from trading_assets.theses.debate import cases_from_rows
from trading_assets.theses.model import DEBATES, OPINIONS, SILENCES, STANCES, Silence, Stance
from trading_assets.theses.stance import stance_from_rows

Row = Mapping[str, Any]
Said = TypeVar("Said")


def opinions_of(lake: Lake, span: Span, *, lane: str, as_of: datetime) -> Mapping[str, Opinions]:
    """By session key, what analysts, researchers and the chief said, as far as it was knowable."""
    return opinions_from(
        {
            table.name: lake.read(table, as_of=as_of, first=span.first, last=span.last, lane=lane).rows(named=True)
            for table in OPINIONS
        }
    )


def opinions_from(rows: Mapping[str, Sequence[Row]]) -> Mapping[str, Opinions]:
    """The same from rows by table."""
    briefs = _by_session(rows[ANALYST_BRIEFS.name], briefs_from_rows)
    narratives = _by_session(rows[NARRATIVES.name], narratives_from_rows)
    cases = _by_session(rows[DEBATES.name], cases_from_rows)
    stances = _by_session(rows[STANCES.name], lambda rows: [stance_from_rows([row]) for row in rows])
    silences = _by_session(rows[SILENCES.name], lambda rows: [_silence(row) for row in rows])
    return {
        key: Opinions(
            briefs.get(key, ()),
            narratives.get(key, ()),
            cases.get(key, ()),
            _one(stances.get(key, ())),
            silences.get(key, ()),
        )
        for key in sorted({*briefs, *narratives, *cases, *stances, *silences})
    }


def _by_session(rows: Sequence[Row], read: Callable[[Sequence[Row]], Sequence[Said]]) -> dict[str, tuple[Said, ...]]:
    return dict(_grouped(rows, read(rows)))


def _silence(row: Row) -> Silence:
    return Silence(agent=row["agent"], symbol=row["symbol"], answered_by=row["answered_by"], reason=row["reason"])


def _one(stances: Sequence[Stance | None]) -> Stance | None:
    return stances[0] if stances else None


def _grouped(rows: Sequence[Row], said: Sequence[Said]) -> Iterator[tuple[str, tuple[Said, ...]]]:
    found: dict[str, list[Said]] = {}
    for row, one in zip(rows, said, strict=True):
        found.setdefault(row["session"].isoformat(), []).append(one)
    return ((key, tuple(of)) for key, of in found.items())
