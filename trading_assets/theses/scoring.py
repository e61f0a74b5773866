"""How good forecasts were: scores of a thesis at its end, the records of those who spoke, and calibration over all of them.

A source is judged by its first words on a thesis: at that moment target and invalidation were equally open; later words know
half of the way. The thesis as a whole is judged by its confidence when it was formed. What was given up, or whose symbol left the
market, is not judged: nobody knows whether it would have come true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from trading_assets.core.errors import PermanentFailure
from trading_assets.theses.arithmetic import PLACES, first_words, probability
from trading_assets.theses.model import Reliability, Score, Thesis

if TYPE_CHECKING:
    import polars as pl

WHOLE = "thesis"
BINS = 10
# Nearer to even odds than this, a source said nothing that a record could hold.
SPEAKS = 0.01
Grouping = Literal["source", "regime", "symbol"]
GROUPINGS: tuple[Grouping, ...] = ("source", "regime", "symbol")


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of about the same probability: how many, what they said on average, and how many came true, 0 to 1."""

    low: float
    high: float
    n: int
    said: float
    true: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The forecasts of one group. Brier is the mean of (p - outcome) squared: 0 is perfect, 0.25 what even odds always get."""

    group: str
    n: int
    brier: float
    said: float
    true: float
    bins: tuple[Bin, ...]


def scores_of(thesis: Thesis, *, came_true: bool) -> tuple[Score, ...]:
    """One score for each source that spoke, in alphabetical order, and one for the whole, last."""
    first = first_words(thesis.contributions)
    said = [(source, probability(thesis.prior + first[source].log_odds)) for source in sorted(first)]
    return tuple(
        _score(thesis, source, p, came_true=came_true) for source, p in (*said, (WHOLE, thesis.confidence_formed))
    )


def learned(records: Mapping[str, Reliability], scores: Iterable[Score]) -> dict[str, Reliability]:
    """The records after some scores."""
    after = dict(records)
    for score in scores:
        old = after.get(score.source, Reliability())
        if score.source == WHOLE or abs(score.probability - 0.5) >= SPEAKS:
            after[score.source] = Reliability(
                theses=old.theses + 1,
                brier_sum=round(old.brier_sum + score.brier, PLACES),
                said_sum=round(old.said_sum + score.probability, PLACES),
                right_sum=old.right_sum + score.came_true,
                certain=old.certain,
            )
    return after


def heard_certain(record: Reliability, certain: Sequence[bool]) -> Reliability:
    """The record after a source first spoke on some theses: how many of its last ones it was certain of, without a break."""
    return record.model_copy(update={"certain": record.certain + len(certain) if all(certain) else 0})


def calibration(scores: pl.DataFrame, *, by: str = "source") -> tuple[Calibration, ...]:
    """Calibration of each group of THESIS_SCORES, in alphabetical order.

    Args:
        scores: At least source, probability, came_true, brier, and the column that is grouped by.
        by: source (agents, personas, and thesis for the whole), or regime or symbol, which count whole theses only.
    """
    if by not in GROUPINGS:
        raise PermanentFailure("scores are not grouped by that", value=by, bound=", ".join(GROUPINGS))
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in scores.iter_rows(named=True):
        if by == "source" or row["source"] == WHOLE:
            groups.setdefault(str(row[by]), []).append(row)
    return tuple(_calibrated(group, rows) for group, rows in sorted(groups.items()))


def _calibrated(group: str, rows: Sequence[Mapping[str, Any]]) -> Calibration:
    return Calibration(
        group=group,
        n=len(rows),
        brier=_mean(row["brier"] for row in rows),
        said=_mean(row["probability"] for row in rows),
        true=_mean(row["came_true"] for row in rows),
        bins=tuple(_bin(number, rows) for number in sorted({_place(row["probability"]) for row in rows})),
    )


def _bin(number: int, rows: Sequence[Mapping[str, Any]]) -> Bin:
    inside = [row for row in rows if _place(row["probability"]) == number]
    said, true = _mean(row["probability"] for row in inside), _mean(row["came_true"] for row in inside)
    return Bin(number / BINS, (number + 1) / BINS, len(inside), said, true)


def _place(said: float) -> int:
    return min(BINS - 1, int(said * BINS))


def _mean(values: Iterable[float]) -> float:
    return round(fmean(values), PLACES)


def _score(thesis: Thesis, source: str, said: float, *, came_true: bool) -> Score:
    return Score(
        thesis_id=thesis.id,
        source=source,
        symbol=thesis.symbol,
        regime=thesis.regime,
        probability=said,
        came_true=came_true,
        brier=round((said - came_true) ** 2, PLACES),
    )
