"""Macro series as rows of releases: the first value of a date when it came out, and each revision when it became known.

Each series is taken from the first source, in the order of the settings, that has a value of it. A source that tells releases apart
(vintages) gives one row per release. A source that shows only the newest values gives the first row at the usual time of release,
and a revision when the desk first sees a value that differs from the one stored: what a decision saw is never rewritten.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from trading_assets.core.calendar import Calendar
from trading_assets.core.ids import digest
from trading_assets.market.documents.ingest import (
    Answer,
    Collected,
    Row,
    asked,
    from_the_future,
    outcomes_of,
)
from trading_assets.market.documents.model import MACRO_SERIES
from trading_assets.market.documents.ports import (
    Delivery,
    MacroDraft,
    MacroSource,
    SeriesWanted,
    UnknownSubject,
    Window,
)
from trading_assets.market.documents.times import NO_LAG, OBSERVED, Stamp, session_finder, stamped


@dataclass(frozen=True, slots=True)
class _Release:
    knowable_at: datetime
    published_at: datetime
    value: float


Releases = dict[tuple[str, date], list[_Release]]


@dataclass(frozen=True, slots=True)
class _Judged:
    draft: MacroDraft
    stamp: Stamp
    source: str


def collect_macro(
    sources: Sequence[MacroSource],
    series: Sequence[SeriesWanted],
    window: Window,
    *,
    stored: pl.DataFrame,
    calendar: Calendar,
) -> Collected:
    """Releases of the series that became knowable in the window and differ from what is stored.

    Args:
        stored: All rows of MACRO_SERIES of the series.
    """
    answers, missing = _first_answers(sources, series, window)
    if missing and answers:
        names = ", ".join(wanted.name for wanted in missing)
        answers[-1].refused.append(
            str(UnknownSubject("no source has a value of a series that the settings list", value=names))
        )
    known = _releases(stored)
    find = session_finder(window, calendar)
    rows: list[Row] = []
    for judged in _judged(answers, window):
        stamp = _first_seen(judged, known)
        session = find(stamp.knowable_at) if stamp else None
        if stamp and session:
            _remember(known, judged.draft, stamp)
            rows.append({**_row(judged, stamp), "session": session})
    return Collected(MACRO_SERIES.frame(rows), outcomes_of(answers))


def _first_answers(
    sources: Sequence[MacroSource], series: Sequence[SeriesWanted], window: Window
) -> tuple[list[Answer[MacroDraft]], list[SeriesWanted]]:
    """One answer per source, and the series that none had; a later source is asked only for what earlier ones lack."""
    answers, missing = list[Answer[MacroDraft]](), list(series)
    for source in sources:
        answer = asked(source, _observations(source, tuple(missing), window))
        had = {draft.series for draft in answer.drafts}
        wanted = {one.name for one in missing}
        answers.append(replace(answer, drafts=[draft for draft in answer.drafts if draft.series in wanted]))
        missing = [one for one in missing if one.name not in had]
    return answers, missing


def _observations(
    source: MacroSource, series: Sequence[SeriesWanted], window: Window
) -> Callable[[], Delivery[MacroDraft]]:
    return lambda: source.observations(series, window)


def _judged(answers: Iterable[Answer[MacroDraft]], window: Window) -> list[_Judged]:
    """All drafts with their times, ascending by when they became knowable; of those at one instant the newest release first."""
    found = []
    for answer in answers:
        for draft in answer.drafts:
            name = f"{draft.series} of {draft.observed_on}"
            stamp = stamped(draft.published, fetched_at=window.as_of, lag=NO_LAG, delivers=answer.source.delivers)
            if not math.isfinite(draft.value):
                answer.refused.append(f"{name}: {draft.value} is not a finite number: not stored")
            elif stamp is None:
                answer.refused.append(from_the_future(name, draft.published, window))
            else:
                found.append(_Judged(draft, stamp, answer.source.name))
    newest_first = sorted(found, key=lambda judged: judged.stamp.published_at, reverse=True)
    return sorted(newest_first, key=lambda judged: judged.stamp.knowable_at)


def _releases(stored: pl.DataFrame) -> Releases:
    known: Releases = {}
    columns = stored.select("series", "observed_on", "knowable_at", "published_at", "value")
    for series, observed_on, *release in columns.iter_rows():
        known.setdefault((series, observed_on), []).append(_Release(*release))
    return {key: sorted(releases, key=_moment) for key, releases in known.items()}


def _remember(known: Releases, draft: MacroDraft, stamp: Stamp) -> None:
    releases = known.setdefault((draft.series, draft.observed_on), [])
    releases.append(_Release(stamp.knowable_at, stamp.published_at, draft.value))
    releases.sort(key=_moment)


def _moment(release: _Release) -> datetime:
    return release.knowable_at


def _first_seen(judged: _Judged, known: Releases) -> Stamp | None:
    """The times of a release that is not stored yet; None when it is, or when a newer release was known already.

    A vintage is stored when its value is the one last known before it, or the one that the desk saw next. Where a source shows the
    newest value only, a value that differs from the newest stored one became known now. At one instant one value is known.
    """
    draft, stamp = judged.draft, judged.stamp
    releases = known.get((draft.series, draft.observed_on), [])
    if not releases:
        return stamp
    if not draft.vintage and releases[-1].value == draft.value:
        return None
    if not draft.vintage:
        stamp = replace(stamp, knowable_at=stamp.fetched_at, basis=OBSERVED)
    before = [release for release in releases if release.knowable_at <= stamp.knowable_at]
    after = [release for release in releases if release.knowable_at > stamp.knowable_at]
    outdone = any(r.published_at > stamp.published_at or r.knowable_at == stamp.knowable_at for r in before)
    return None if outdone or draft.value in {r.value for r in (*before[-1:], *after[:1])} else stamp


def _row(judged: _Judged, stamp: Stamp) -> Row:
    draft = judged.draft
    return {
        "series": draft.series,
        "item": digest(draft.series, draft.observed_on, stamp.knowable_at.isoformat()),
        "observed_on": draft.observed_on,
        "value": draft.value,
        "unit": draft.unit,
        "source": judged.source,
        **stamp.row(),
    }
