"""News of one symbol: before a jump, after the close before an earnings gap, and without any consequence."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulation.market.daily import Life
from simulation.market.regimes import Floats
from simulation.market.streams import dice
from simulation.market.timeline import MINUTE_US, timeline

PUBLISHER = "Simulated Wire"
NOISE_PER_SESSION = 1 / 40
FALSE_RUMOURS = 0.15
_RUMOURS = {
    1: (
        "{symbol} said to be in talks about a takeover at a premium",
        "{symbol} is close to a large contract, people familiar say",
        "{symbol} product passes a decisive test, sources say",
    ),
    -1: (
        "Regulator looks into accounts of {symbol}, people familiar say",
        "{symbol} may lose its largest customer, sources say",
        "{symbol} said to prepare a recall of its main product",
    ),
}
_EARNINGS = {
    1: "{symbol} reports quarterly earnings above expectations",
    -1: "{symbol} reports quarterly earnings below expectations",
}
_PLAIN = (
    "{symbol} to present at an investor conference",
    "{symbol} appoints a new member of the board",
    "{symbol} opens an office in another city",
    "{symbol} publishes its sustainability report",
    "Analysts leave their ratings of {symbol} unchanged",
    "{symbol} extends a supplier agreement on usual terms",
)
_INSIDE, _AFTER_MIN, _AFTER_END = 30, 5, 61


@dataclass(frozen=True, slots=True)
class Item:
    """One headline: the session in which it became knowable, and when it was published (microseconds since 1970)."""

    number: int
    published: int
    headline: str


def items_of(seed: int, symbol: str, life: Life, numbers: range, *, lead: int) -> list[Item]:
    """News of a symbol that became knowable in the sessions of its life among `numbers`, by time of publication.

    A rumour stands `lead` sessions before each jump, within that session's hours; its words name the direction. The noise is drawn
    without regard to prices, and a part of it uses the words of rumours: those are the false alarms.
    """
    wanted = range(max(numbers.start, life.numbers.start), min(numbers.stop, life.numbers.stop))
    items = [
        *_before_jumps(seed, symbol, life, wanted, lead),
        *_on_earnings(seed, symbol, life, wanted),
        *_noise(seed, symbol, wanted),
    ]
    found = {(item.published, item.headline): item for item in items}
    return [found[key] for key in sorted(found)]


def _before_jumps(seed: int, symbol: str, life: Life, wanted: range, lead: int) -> Iterator[Item]:
    for number in _events(life, life.jumps, range(wanted.start + lead, wanted.stop + lead)):
        die = dice(seed, "rumour", symbol, number)
        words = _RUMOURS[1 if life.jumps[number - life.first] > 0 else -1]
        headline = words[int(die.integers(len(words)))]
        yield _inside(die, number - lead, headline.format(symbol=symbol))


def _on_earnings(seed: int, symbol: str, life: Life, wanted: range) -> Iterator[Item]:
    for number in _events(life, life.earnings, wanted):
        die = dice(seed, "earnings", symbol, number)
        published = int(timeline().closes[number - 1]) + int(die.integers(_AFTER_MIN, _AFTER_END)) * MINUTE_US
        headline = _EARNINGS[1 if life.earnings[number - life.first] > 0 else -1]
        yield Item(number, published, headline.format(symbol=symbol))


def _events(life: Life, moves: Floats, wanted: range) -> list[int]:
    numbers: list[int] = (life.first + np.flatnonzero(moves)).tolist()
    return [number for number in numbers if number in wanted]


def _noise(seed: int, symbol: str, wanted: range) -> Iterator[Item]:
    luck = dice(seed, "noise", symbol).random(timeline().length)
    for number in wanted:
        if luck[number] < NOISE_PER_SESSION:
            die = dice(seed, "noise", symbol, number)
            words = _RUMOURS[int(die.choice((-1, 1)))] if die.random() < FALSE_RUMOURS else _PLAIN
            yield _inside(die, number, words[int(die.integers(len(words)))].format(symbol=symbol))


def _inside(die: np.random.Generator, number: int, headline: str) -> Item:
    minute = int(die.integers(_INSIDE, timeline().minutes[number] - _INSIDE))
    return Item(number, int(timeline().opens[number]) + minute * MINUTE_US, headline)
