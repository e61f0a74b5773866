"""The rules member of the news analyst: headlines read by a list of words, one event counted once, sources counted.

A headline's score is halved where it tells a rumour, and halves again every three days; the signal is their sum over the weight of
age, but never over less than one, so that a single old headline says little. What it says is said in words of the list: no text
from outside passes through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trading_assets.briefs.lexicon import Told, read
from trading_assets.briefs.roles import SENTENCE_MAX, Headline, NewsInputs, Opinion
from trading_assets.briefs.rules import Point

_RUMOUR_WEIGHT = 0.5
_HALF_LIFE_DAYS = 3.0
_SURE, _SURE_BY_SOURCE, _SURE_BY_FACT, _SOURCES_COUNTED = 0.3, 0.15, 0.15, 2
_NOTHING_SURE = 0.1
_REASONS, _CITED = 5, 12


@dataclass(frozen=True, slots=True)
class _Event:
    """Headlines that say the same by the same words; the newest counts, and all publishers."""

    told: Told
    headlines: tuple[Headline, ...]
    age_days: int

    @property
    def score(self) -> float:
        """-1 to 1 before age."""
        return self.told.score * (_RUMOUR_WEIGHT if self.told.rumour else 1.0)

    @property
    def weight(self) -> float:
        """1 today, halved every three days."""
        return float(0.5 ** (self.age_days / _HALF_LIFE_DAYS))

    @property
    def sources(self) -> int:
        """How many publishers told it."""
        return len({headline.publisher for headline in self.headlines})

    @property
    def reason(self) -> str:
        """One sentence in words of the list."""
        kind = "a rumour" if self.told.rumour else "a report"
        side = "for" if self.score > 0 else "against"
        where = "1 publisher" if self.sources == 1 else f"{self.sources} publishers"
        return f"{kind} {side} it: {', '.join(self.told.words)}; {where}, {self.age_days} days old"[:SENTENCE_MAX]


def news_opinion(inputs: NewsInputs) -> Opinion | None:
    """What the material headlines say together; 0 with little confidence where none is material; None without headlines."""
    if not inputs.headlines:
        return None
    events = sorted(_events(inputs), key=lambda event: (-abs(event.score) * event.weight, event.headlines[0].id))
    if not events:
        words = f"none of {len(inputs.headlines)} headlines says anything material"
        newest = inputs.headlines[-1].id
        return Opinion(signal=0.0, confidence=_NOTHING_SURE, reasons=(words,), evidence=(newest,))
    total = sum(event.score * event.weight for event in events)
    return Opinion(
        signal=round(total / max(1.0, sum(event.weight for event in events)), 6),
        confidence=round(_confidence(events, total), 6),
        reasons=tuple(event.reason for event in events[:_REASONS]),
        evidence=tuple(headline.id for event in events for headline in event.headlines)[:_CITED],
    )


def news_points(inputs: NewsInputs) -> Sequence[Point]:
    """What each material headline says by itself."""
    read_ = ((headline, read(headline.text)) for headline in inputs.headlines)
    return [Point(told.score, ", ".join(told.words), (h.id,), (h.id,)) for h, told in read_ if told.score]


def _events(inputs: NewsInputs) -> Iterator[_Event]:
    alike: dict[tuple[bool, tuple[str, ...]], list[tuple[Headline, Told]]] = {}
    for headline in inputs.headlines:
        told = read(headline.text)
        if told.score:
            alike.setdefault((told.score > 0, tuple(sorted(told.words))), []).append((headline, told))
    for same in alike.values():
        headlines = tuple(headline for headline, _ in same)
        newest = max(headline.published for headline in headlines)
        # One who reports it as a fact outweighs those who guess.
        told = min((told for _, told in same), key=lambda told: told.rumour)
        yield _Event(told, headlines, max((inputs.session - newest).days, 0))


def _confidence(events: Sequence[_Event], total: float) -> float:
    size = sum(abs(event.score) * event.weight for event in events)
    side = [event for event in events if event.score * total > 0]
    sources = len({headline.publisher for event in side for headline in event.headlines})
    told_as_fact = any(not event.told.rumour for event in side)
    sure = _SURE + _SURE_BY_SOURCE * min(max(sources - 1, 0), _SOURCES_COUNTED) + _SURE_BY_FACT * told_as_fact
    return abs(total) / size * sure
