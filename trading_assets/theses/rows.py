"""The thesis graph as rows of the lake."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from trading_assets.core.slots import Slot
from trading_assets.theses.arithmetic import PLACES, first_words, last_words, weighed, worths
from trading_assets.theses.model import Edge, Event, Mind, Score, Thesis

Row = dict[str, object]
_FIELDS = {
    *("symbol", "direction", "claim", "horizon", "formed", "expires", "reference", "target", "invalidation"),
    *("regime", "author", "confidence", "confidence_formed", "status"),
}


def thesis_rows(mind: Mind, ended: Sequence[Thesis], slot: Slot) -> list[Row]:
    """The live theses after a slot, and those that ended in it, as rows of THESES."""
    worth = worths(mind.reliability)
    return [_thesis_row(thesis, worth, slot) for thesis in (*mind.theses, *ended)]


def event_rows(events: Sequence[Event], theses: Iterable[Thesis], slot: Slot) -> list[Row]:
    """A slot's events in their order, as rows of THESIS_EVENTS; `theses` are all that they are about, live or ended."""
    symbols = {thesis.id: thesis.symbol for thesis in theses}
    return [
        {**_of(slot), "number": number, "symbol": symbols[event.thesis_id], **event.model_dump()}
        for number, event in enumerate(events, 1)
    ]


def edge_rows(mind: Mind, slot: Slot) -> list[Row]:
    """The relations after a slot as rows of THESIS_EDGES."""
    return [{**_of(slot), **edge.model_dump()} for edge in mind.edges]


def score_rows(scores: Sequence[Score], slot: Slot) -> list[Row]:
    """A slot's scores as rows of THESIS_SCORES."""
    return [{**_of(slot), **score.model_dump()} for score in scores]


def edges_from_rows(rows: Iterable[Mapping[str, object]]) -> tuple[Edge, ...]:
    """The inverse of `edge_rows`; a row that is not an edge is an error."""
    return tuple(Edge.model_validate({name: row[name] for name in Edge.model_fields}) for row in rows)


def _thesis_row(thesis: Thesis, worth: Mapping[str, float], slot: Slot) -> Row:
    return {
        **_of(slot),
        "thesis_id": thesis.id,
        **thesis.model_dump(include=_FIELDS),
        "contributions": json.dumps(_said(thesis, worth), ensure_ascii=False),
        "outcome": thesis.outcome or "",
    }


def _said(thesis: Thesis, worth: Mapping[str, float]) -> list[Row]:
    """Of each source its last words and its first, and what they count now: faded, and by its record."""
    first, last = first_words(thesis.contributions), last_words(thesis.contributions)
    return [
        {
            "source": source,
            "log_odds": last[source].log_odds,
            "at": last[source].at.isoformat(),
            "first_log_odds": first[source].log_odds,
            "first_at": first[source].at.isoformat(),
            "counts": round(counts, PLACES),
        }
        for source, counts in weighed(thesis.contributions, thesis.horizon, thesis.as_of, worth).items()
    ]


def _of(slot: Slot) -> Row:
    return {"session": slot.session.day, "slot": slot.label, "knowable_at": slot.at}
