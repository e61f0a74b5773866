"""What was said in a slot, as log-odds for one thesis: briefs, the debate, and the strategist's own evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from trading_assets.regimes.model import MARKET
from trading_assets.theses.arithmetic import CERTAIN
from trading_assets.theses.model import Bucket, Case, Thesis, ThesisUpdate, Voice

DEBATE = "debate"
STRATEGIST = "strategist"
MARKET_SHARE = 0.5
BUCKETS: Mapping[Bucket, float] = {"small": 0.15, "medium": 0.3, "large": 0.5}
STRATEGIST_MAX = 0.6


@dataclass(frozen=True, slots=True)
class Word:
    """Log-odds for a rise, or for a thesis, and whether whoever said it was certain."""

    log_odds: float
    certain: bool


Heard = Mapping[str, Mapping[str, Word]]


def heard_of(voices: Sequence[Voice], cases: Sequence[Case], *, debate_weight: float) -> Heard:
    """By source and symbol, what was said for a rise. A source that says two things of one symbol says their mean.

    A source of no weight is not heard, and a debate needs both sides: the case of one alone says nothing.
    """
    said: dict[str, dict[str, list[Word]]] = {}
    for voice in voices:
        if voice.weight:
            word = Word(voice.weight * voice.signal * voice.confidence, voice.confidence >= CERTAIN)
            said.setdefault(voice.source, {}).setdefault(voice.symbol, []).append(word)
    for symbol, word in _debated(cases, debate_weight):
        said.setdefault(DEBATE, {})[symbol] = [word]
    return {
        source: {symbol: _mean(words) for symbol, words in by_symbol.items()}
        for source, by_symbol in sorted(said.items())
    }


def words_on(thesis: Thesis, heard: Heard, update: ThesisUpdate | None) -> dict[str, Word]:
    """By source, what speaks for the thesis (positive) or against it; what is said of MARKET counts half."""
    sign = 1.0 if thesis.direction == "long" else -1.0
    words: dict[str, Word] = {}
    for source, by_symbol in heard.items():
        own, market = by_symbol.get(thesis.symbol), by_symbol.get(MARKET)
        parts = [(own, 1.0), (market, MARKET_SHARE)]
        present = [(word, share) for word, share in parts if word is not None]
        if present:
            log_odds = sign * sum(word.log_odds * share for word, share in present)
            words[source] = Word(log_odds, all(word.certain for word, _ in present))
    if update is not None and update.evidence:
        words[STRATEGIST] = Word(_argued(update), certain=False)
    return words


def _argued(update: ThesisUpdate) -> float:
    """The strategist's buckets in log-odds for its thesis; together they never count more than 0.6."""
    total = sum(BUCKETS[each.bucket] if each.supports else -BUCKETS[each.bucket] for each in update.evidence)
    return max(-STRATEGIST_MAX, min(STRATEGIST_MAX, total))


def _debated(cases: Sequence[Case], weight: float) -> Iterator[tuple[str, Word]]:
    """The bull's strength less the bear's, for each symbol that both spoke on."""
    strengths: dict[str, dict[str, list[float]]] = {}
    for case in cases:
        strengths.setdefault(case.symbol, {}).setdefault(case.side, []).append(case.strength)
    for symbol, sides in sorted(strengths.items()):
        if weight and len(sides) > 1:
            bull, bear = fmean(sides["bull"]), fmean(sides["bear"])
            yield symbol, Word(weight * (bull - bear), max(bull, bear) >= CERTAIN)


def _mean(words: Sequence[Word]) -> Word:
    if len(words) == 1:
        return words[0]
    return Word(fmean(word.log_odds for word in words), all(word.certain for word in words))
