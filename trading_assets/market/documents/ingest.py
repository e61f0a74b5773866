"""News and filings of many sources as rows of one table: cleaned, stamped, each once.

All sources are asked, in the order of the settings, and merged. The same item (equal digest, or equal accession number) is stored
once, from the first source that had it; one story in two wordings is two rows. What is stored already stays as it was first seen.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

import polars as pl

from trading_assets.core.calendar import Calendar, days_of
from trading_assets.core.errors import DeskError
from trading_assets.core.ids import digest
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.market.documents.model import FILINGS, MARKET, NEWS, SOURCE_ANSWERS
from trading_assets.market.documents.ports import (
    Delivery,
    FilingDraft,
    FilingSource,
    NewsDraft,
    NewsSource,
    Published,
    RefusedItem,
    Source,
    UnknownSubject,
    Window,
)
from trading_assets.market.documents.text import (
    HEADLINE_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    SUMMARY_CHARACTERS_MAX,
    plain,
    web_address,
)
from trading_assets.market.documents.times import FILING_LAG, NEWS_LAG, Stamp, session_finder, stamped

_REFUSALS_SHOWN = 20
_REFUSAL_CHARACTERS_MAX = 300
Row = dict[str, object]
Key = tuple[str, str]


class _Dated(Protocol):
    """What all drafts share."""

    @property
    def published(self) -> Published: ...


Draft = TypeVar("Draft")
Dated = TypeVar("Dated", bound=_Dated)


@dataclass(frozen=True, slots=True)
class Answer(Generic[Draft]):
    """What one source said: drafts, why there are none or not all, and which items were refused."""

    source: Source
    drafts: Sequence[Draft] = ()
    failure: str = ""
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer without its drafts."""

    source: Source
    failure: str
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Collected:
    """Rows to add, and what each source said.

    Args:
        frame: Conforming rows of the window that were not stored before.
        outcomes: One for each source, in the order asked.
    """

    frame: pl.DataFrame
    outcomes: tuple[Outcome, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence per failure and refusal, beginning with the source's name."""
        failures = [f"{o.source.name}: {o.failure}" for o in self.outcomes if o.failure]
        return (*failures, *(f"{o.source.name}: {line}" for o in self.outcomes for line in o.refused))


def collect_news(
    sources: Sequence[NewsSource],
    symbols: Sequence[str],
    window: Window,
    *,
    stored: pl.DataFrame,
    calendar: Calendar,
) -> Collected:
    """Headlines about the symbols and about MARKET that became knowable in the window.

    Args:
        stored: All rows of NEWS that touch the symbols: an item may have been seen first in any session.
    """
    wanted = {*symbols, MARKET}
    answers = [_of_symbols(asked(source, _news_of(source, symbols, window)), wanted) for source in sources]
    seen = set(stored.select("symbol", "item").iter_rows())
    rows = _merged(answers, window, NEWS_LAG, _news_row, seen, calendar)
    return Collected(NEWS.frame(rows), outcomes_of(answers))


def collect_filings(
    sources: Sequence[FilingSource],
    symbols: Sequence[str],
    window: Window,
    *,
    stored: pl.DataFrame,
    calendar: Calendar,
) -> Collected:
    """Filings of the symbols' companies that became knowable in the window.

    Args:
        stored: All rows of FILINGS that touch the symbols: a filing may have been seen first in any session.
    """
    wanted = set(symbols)
    answers = [_of_symbols(asked(source, _filings_of(source, symbols, window)), wanted) for source in sources]
    seen = set(stored.select("symbol", "accession").iter_rows())
    rows = _merged(answers, window, FILING_LAG, _filing_row, seen, calendar)
    return Collected(FILINGS.frame(rows), outcomes_of(answers))


def asked(source: Source, ask: Callable[[], Delivery[Draft]]) -> Answer[Draft]:
    """The source's answer; a typed failure becomes part of it, so that one source cannot silence the others."""
    try:
        delivery = ask()
    except DeskError as failed:
        return Answer(source, failure=str(failed))
    left_out = (RefusedItem, UnknownSubject)
    failures = [str(problem) for problem in delivery.problems if not isinstance(problem, left_out)]
    refused = [str(problem) for problem in delivery.problems if isinstance(problem, left_out)]
    return Answer(source, delivery.items, "; ".join(failures), refused)


def outcomes_of(answers: Iterable[Answer[Draft]]) -> tuple[Outcome, ...]:
    """The answers without drafts; of many refusals the first are kept, and how many more there were."""
    return tuple(Outcome(a.source, a.failure, _shown(a.refused)) for a in answers)


def from_the_future(name: str, published: Published, window: Window) -> str:
    """The sentence for an item that says it was published after it was fetched."""
    said, now = published.at.isoformat(), window.as_of.isoformat()
    return f"{name} says that it was published at {said}, after it was fetched at {now}: not stored"


def added(
    new: pl.DataFrame, stored: pl.DataFrame, span: Span, *, item: str
) -> tuple[pl.DataFrame, Mapping[str, list[str]]]:
    """What to give to the lake's merge so that new rows are added and no stored row changes: the frame and `replacing`.

    Args:
        item: The column that names an item. A merge replaces by its value, so stored rows of the span that share it with a new
            row (one story about two symbols) go along.
    """
    items = new[item].unique().sort().to_list()
    kept = stored.filter(pl.col(item).is_in(items) & pl.col("session").is_between(span.first, span.last))
    return pl.concat([kept, new]), {item: items or [""]}


def answers_frame(
    table: Table, outcomes: Sequence[Outcome], window: Window, *, held: pl.DataFrame, calendar: Calendar
) -> pl.DataFrame:
    """Rows of SOURCE_ANSWERS: one for each source and session of the window.

    Args:
        held: All rows of `table` in the window's span, the new ones among them.
    """
    counts = {(source, day): n for source, day, n in held.group_by("source", "session").len().iter_rows()}
    days = days_of(calendar.sessions(window.span.first, window.span.last))
    return SOURCE_ANSWERS.frame(
        [
            {
                "documents": table.name,
                "session": day,
                "source": outcome.source.name,
                "delivers": outcome.source.delivers,
                "items": counts.get((outcome.source.name, day), 0),
                "failure": outcome.failure,
                "refused": "\n".join(outcome.refused),
                "fetched_at": window.as_of,
                "knowable_at": window.as_of,
            }
            for outcome in outcomes
            for day in days
        ]
    )


def _news_of(source: NewsSource, symbols: Sequence[str], window: Window) -> Callable[[], Delivery[NewsDraft]]:
    return lambda: source.news(symbols, window)


def _filings_of(source: FilingSource, symbols: Sequence[str], window: Window) -> Callable[[], Delivery[FilingDraft]]:
    return lambda: source.filings(symbols, window)


_Named = TypeVar("_Named", NewsDraft, FilingDraft)


def _of_symbols(answer: Answer[_Named], wanted: set[str]) -> Answer[_Named]:
    drafts = [draft for draft in answer.drafts if draft.symbol in wanted]
    return Answer(answer.source, drafts, answer.failure, answer.refused)


def _merged(
    answers: Iterable[Answer[Dated]],
    window: Window,
    lag: timedelta,
    row_of: Callable[[Dated, Stamp], tuple[Key, Row] | str],
    seen: set[Key],
    calendar: Calendar,
) -> list[Row]:
    """Rows of the window that are not in `seen`; refusals go to the answers."""
    find, rows = session_finder(window, calendar), list[Row]()
    for answer in answers:
        for draft in answer.drafts:
            stamp = stamped(draft.published, fetched_at=window.as_of, lag=lag, delivers=answer.source.delivers)
            if stamp is None:
                answer.refused.append(from_the_future(_name(draft), draft.published, window))
                continue
            session = find(stamp.knowable_at)
            if session is None:
                continue
            made = row_of(draft, stamp)
            if isinstance(made, str):
                answer.refused.append(made)
            elif made[0] not in seen:
                seen.add(made[0])
                rows.append({**made[1], **stamp.row(), "session": session, "source": answer.source.name})
    return rows


def _news_row(draft: NewsDraft, stamp: Stamp) -> tuple[Key, Row] | str:
    headline = plain(draft.headline, HEADLINE_CHARACTERS_MAX)
    if not headline:
        return f"{draft.symbol}: an item of {stamp.published_at.isoformat()} has no headline: not stored"
    publisher = plain(draft.publisher, NAME_CHARACTERS_MAX)
    url = web_address(draft.url)
    item = digest(publisher, url, headline, draft.published.at.isoformat())
    row: Row = {
        "symbol": draft.symbol,
        "item": item,
        "headline": headline,
        "summary": plain(draft.summary, SUMMARY_CHARACTERS_MAX),
        "publisher": publisher,
        "url": url,
    }
    return (draft.symbol, item), row


def _filing_row(draft: FilingDraft, stamp: Stamp) -> tuple[Key, Row] | str:
    if not draft.accession or not draft.form:
        return (
            f"{draft.symbol}: a filing of {stamp.published_at.isoformat()} has no accession number or form: not stored"
        )
    row: Row = {
        "symbol": draft.symbol,
        "accession": draft.accession,
        "form": plain(draft.form, NAME_CHARACTERS_MAX),
        "cik": draft.cik,
        "filed_on": draft.filed_on,
        "period": draft.period,
        "items": plain(draft.items, NAME_CHARACTERS_MAX),
        "description": plain(draft.description, HEADLINE_CHARACTERS_MAX),
        "url": web_address(draft.url),
    }
    return (draft.symbol, draft.accession), row


def _name(draft: object) -> str:
    symbol = getattr(draft, "symbol", "")
    what = getattr(draft, "headline", "") or getattr(draft, "accession", "")
    return f"{symbol}: {plain(what, NAME_CHARACTERS_MAX)!r}"


def _shown(refused: Sequence[str]) -> tuple[str, ...]:
    distinct = list(dict.fromkeys(plain(line, _REFUSAL_CHARACTERS_MAX) for line in refused))
    more = len(distinct) - _REFUSALS_SHOWN
    return (*distinct[:_REFUSALS_SHOWN], *([f"and {more} more"] if more > 0 else []))
