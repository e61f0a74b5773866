"""What the ledger tells a report beside the book: proposals, and what the journal says went other than planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from resources.desk import DESK, DeskResource
from trading_assets.evaluation.reporting.record import Happening, Told
from trading_assets.evaluation.suggestions import ProposalLine, proposal_lines

if TYPE_CHECKING:
    from datetime import date

    from trading_assets.core.journal import Entry, Json
    from trading_assets.core.ports import Span

_PLAIN: Mapping[str, str] = {"halt": "halt", "resume": "resumed", "parameter_change": "parameter"}
_NOTES: Mapping[str, str] = {"part": "missed", "watch": "watch"}
_FIRST: Sequence[str] = ("halt", "missed", "watch", "resumed", "parameter")


def told_of(desk: DeskResource, lane: str, *, on: date) -> Told:
    """What the lane's ledger knows as of a session; each is read when a part of the report asks for it."""

    def proposals() -> Sequence[ProposalLine]:
        return proposal_lines(desk.proposals().proposals(), on=on)

    def happened(span: Span) -> Sequence[Happening]:
        from resources.ledger.journal import read_journal

        entries = [r.entry for r in read_journal(desk.engine(lane), first=span.first, last=span.last, book=lane)]
        found = [each for entry in entries if (each := happening(entry)) is not None]
        return sorted(found, key=lambda each: (_FIRST.index(each.kind), each.session))

    return Told(proposals=proposals if lane == DESK else None, happened=happened)


def happening(entry: Entry) -> Happening | None:
    """An entry of the journal that a report tells; None for decisions, orders, fills and everything else that went as planned."""
    kind = _PLAIN.get(entry.kind) or (_NOTES.get(str(entry.body.get("of"))) if entry.kind == "note" else None)
    return None if kind is None else Happening(entry.session, kind, _sentence(entry.title, entry.body))


def _sentence(title: str, body: Mapping[str, Json]) -> str:
    """The title, and the reason where the entry has one."""
    why = next((str(body[name]) for name in ("sentence", "cause", "why", "reason") if body.get(name)), "")
    return f"{title}: {why}" if why and why not in title else title
