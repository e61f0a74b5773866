"""What each decision rests on: the rules alone, or models that may have known what came later [A12].

A decision can rest on the opinions of its session, on the votes of its slot, and on theses that live since earlier sessions. Its
label is the worst label of all of that: contaminated before unknown before clean before rules. What a model said without a label
that one knows counts as unknown. The book of a session rests on the session's decisions and on those of every session since the
oldest position that it carried in was opened.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.evaluation.model import DECISION_EVIDENCE, Evidence
from trading_assets.reasoning.leakage import RULES

AFTER_CLOSE = "close"
_PLACES = 9
_WORSE: Mapping[Evidence, int] = {"rules": 0, "clean": 1, "unknown": 2, "contaminated": 3}
_COLUMNS = ("session", "route", "model", "leakage")
Key = tuple[date, str]


@dataclass(frozen=True, slots=True)
class Decided:
    """A decided slot, as the ledger has it."""

    session: date
    slot: str
    state: str
    plans: int
    vetoes: int


class Paid(NamedTuple):
    """Calls of models for one decision and what they cost, USD."""

    calls: int
    cost: float


class _Basis(NamedTuple):
    evidence: Evidence
    models: frozenset[str]


_ON_RULES = _Basis("rules", frozenset())


def label_of(route: str, leakage: str) -> Evidence:
    """The label of one opinion by who gave it."""
    if route == RULES:
        return "rules"
    known: Mapping[str, Evidence] = {"clean": "clean", "contaminated": "contaminated"}
    return known.get(leakage, "unknown")


def worst_evidence(labels: Iterable[Evidence]) -> Evidence:
    """The worst of some labels, in the order of `reasoning/leakage.py`; of none, rules."""
    return max(labels, key=_WORSE.__getitem__, default="rules")


def decision_evidence(
    decided: Sequence[Decided],
    opinions: Sequence[pl.DataFrame],
    votes: pl.DataFrame,
    theses: pl.DataFrame,
    positions: pl.DataFrame,
    paid: Mapping[Key, Paid],
) -> pl.DataFrame:
    """Rows of DECISION_EVIDENCE for every decided slot, and one for each session whose critic was paid.

    Args:
        decided: The slots; all of the record, for the book of a session carries the past.
        opinions: Rows of the tables of opinions, of the record.
        votes: Rows of VOTES of the record.
        theses: Rows of THESES of the record.
        positions: Rows of POSITIONS of the record.
        paid: By session and slot; `close` for the critic.
    """
    by_session = _bases(pl.concat([frame.select(_COLUMNS) for frame in opinions]) if opinions else None)
    by_slot = _bases(votes.select(*_COLUMNS, "slot"))
    oldest = _oldest_thesis(theses)
    authors = _authors(theses)
    days = sorted({one.session for one in decided})
    bases = {
        key: _merged(
            [
                *(by_session.get((day, ""), _ON_RULES) for day in _between(days, oldest.get(key, key[0]), key[0])),
                by_slot.get(key, _ON_RULES),
                authors.get(key, _ON_RULES),
            ]
        )
        for key in ((one.session, one.slot) for one in decided if one.state != "IDLE")
    }
    books = _books(days, bases, positions)
    rows = [_row(one, bases.get((one.session, one.slot), _ON_RULES), books, paid) for one in decided]
    rows.extend(_after_close(key, cost, books) for key, cost in sorted(paid.items()) if key[1] == AFTER_CLOSE)
    return DECISION_EVIDENCE.frame(rows)


def _bases(rows: pl.DataFrame | None) -> Mapping[Key, _Basis]:
    """What was said, by session and slot; opinions of the whole session stand under the slot ""."""
    if rows is None:
        return {}
    slots = rows if "slot" in rows.columns else rows.with_columns(pl.lit("").alias("slot"))
    found: dict[Key, list[_Basis]] = {}
    for row in slots.unique().sort("session", "slot", "route", "model", "leakage").rows(named=True):
        models = frozenset({row["model"]} - {""})
        found.setdefault((row["session"], row["slot"]), []).append(
            _Basis(label_of(row["route"], row["leakage"]), models)
        )
    return {key: _merged(each) for key, each in found.items()}


def _authors(theses: pl.DataFrame) -> Mapping[Key, _Basis]:
    """Slots with a thesis that a model's route wrote: its words have no label of their own, so they are unknown at best.

    The route's other answers of those sessions are labelled; a label worse than unknown comes from them.
    """
    by_models = theses.filter(pl.col("author") != RULES).select("session", "slot").unique()
    return {(session, slot): _Basis("unknown", frozenset()) for session, slot in by_models.iter_rows()}


def _oldest_thesis(theses: pl.DataFrame) -> Mapping[Key, date]:
    first = theses.group_by("session", "slot").agg(pl.col("formed").min())
    return {(session, slot): formed for session, slot, formed in first.iter_rows()}


def _books(days: Sequence[date], bases: Mapping[Key, _Basis], positions: pl.DataFrame) -> Mapping[date, Evidence]:
    """By session, the worst label since the oldest position that was carried into it."""
    of_day = _by_day(days, bases)
    held = {day: sorted(symbols) for day, symbols in positions.group_by("session").agg(pl.col("symbol")).iter_rows()}
    since: dict[str, date] = {}
    found: dict[date, Evidence] = {}
    for day in days:
        before = XNYS.previous(day).day
        since = {symbol: since.get(symbol, before) for symbol in held.get(before, ())}
        oldest = min(since.values(), default=day)
        found[day] = worst_evidence(of_day[each] for each in _between(days, oldest, day))
    return found


def _by_day(days: Sequence[date], bases: Mapping[Key, _Basis]) -> dict[date, Evidence]:
    labels: dict[date, list[Evidence]] = {day: [] for day in days}
    for (day, _), basis in bases.items():
        labels[day].append(basis.evidence)
    return {day: worst_evidence(each) for day, each in labels.items()}


def _between(days: Sequence[date], first: date, last: date) -> Sequence[date]:
    return days[bisect_left(days, first) : bisect_right(days, last)]


def _merged(bases: Sequence[_Basis]) -> _Basis:
    return _Basis(worst_evidence(each.evidence for each in bases), frozenset().union(*(each.models for each in bases)))


def _row(one: Decided, basis: _Basis, books: Mapping[date, Evidence], paid: Mapping[Key, Paid]) -> dict[str, Any]:
    cost = paid.get((one.session, one.slot), Paid(0, 0.0))
    return {
        "session": one.session,
        "slot": one.slot,
        "state": one.state,
        "evidence": basis.evidence,
        "book_evidence": books[one.session],
        "models": ",".join(sorted(basis.models)),
        "plans": one.plans,
        "vetoes": one.vetoes,
        "calls": cost.calls,
        "model_cost": round(cost.cost, _PLACES),
        "knowable_at": XNYS.session(one.session).close,
    }


def _after_close(key: Key, cost: Paid, books: Mapping[date, Evidence]) -> dict[str, Any]:
    """What the critic was asked opens nothing; its words have a label in LESSONS, and are unknown here."""
    one = Decided(key[0], AFTER_CLOSE, "AFTER_CLOSE", 0, 0)
    return _row(one, _Basis("unknown", frozenset()), {**books, key[0]: books.get(key[0], "rules")}, {key: cost})
