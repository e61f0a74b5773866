"""The five regimes: who is in which, and how a regime moves prices.

The market's chain is semi-Markov: a regime lasts 40 to 159 sessions and is followed by one of the other four, each as likely.
Drift and deviation per session are those of the generator on which the rules of the desk were first compared with other methods.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.market.model import REGIMES
from simulation.market.streams import dice

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

DRIFT = np.array([0.0022, -0.0026, 0.0, 0.0002, 0.0])
DEVIATION = np.array([0.009, 0.012, 0.030, 0.004, 0.011])
UP, DOWN, HIGH, LOW, RANGING = range(len(REGIMES))
LENGTH_MIN, LENGTH_END = 40, 160
FOLLOWS = 0.85
LAG_END = 10
FALL = 120
_PULL = 0.07
_VOLATILITY_SPREAD = 0.2
_MEMORY = 0.95
_MEMORY_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Chain:
    """Regimes in turn: the session number at which each begins, ascending from 0, and its code."""

    starts: Codes
    codes: Codes

    def states(self, length: int) -> Codes:
        """The regime code of each of `length` sessions; a regime that would begin after them is not reached."""
        return np.repeat(self.codes, np.diff(np.append(np.minimum(self.starts, length), length)))


def market_chain(seed: int, length: int) -> Chain:
    """The regimes of the market factor over `length` sessions."""
    die = dice(seed, "market", "regimes")
    count = length // LENGTH_MIN + 1
    starts = np.concatenate(([0], np.cumsum(die.integers(LENGTH_MIN, LENGTH_END, count))))[:count]
    steps = die.integers(1, len(REGIMES), count)
    codes = np.cumsum(steps) % len(REGIMES)
    alive = starts < length
    return Chain(starts[alive], codes[alive])


def symbol_chain(seed: int, symbol: str, market: Chain) -> Chain:
    """The regimes of one symbol.

    Whenever the market changes, the symbol changes too, 0 to 9 sessions later: with probability 0.85 to the market's new
    regime, else, or when it is already in that one, to any other regime than its own, each as likely.
    """
    die, count = dice(seed, "regimes", symbol), market.starts.size
    follows = die.random(count) < FOLLOWS
    steps = die.integers(1, len(REGIMES), count)
    lags = np.where(np.arange(count) > 0, die.integers(0, LAG_END, count), 0)
    codes, before = [], int(die.integers(len(REGIMES)))
    for follow, target, step in zip(follows.tolist(), market.codes.tolist(), steps.tolist(), strict=True):
        before = target if follow and target != before else (before + step) % len(REGIMES)
        codes.append(before)
    return Chain(market.starts + lags, np.array(codes, dtype=np.int64))


def falling_at_the_end(states: Codes, last: int) -> Codes:
    """The states with 120 sessions of trending_down up to session number `last`."""
    fallen = states.copy()
    fallen[max(0, last + 1 - FALL) : last + 1] = DOWN
    return fallen


def unrest(seed: int, length: int, *names: str) -> Floats:
    """Log of the volatility around its regime's: mean-reverting with a memory of 20 sessions, deviation 0.2."""
    kernel = _MEMORY ** np.arange(_MEMORY_LENGTH)
    kernel *= _VOLATILITY_SPREAD / np.sqrt(np.sum(kernel * kernel))
    noise = dice(seed, "unrest", *names).standard_normal(length + _MEMORY_LENGTH - 1)
    return np.convolve(noise, kernel, mode="valid")


def moves(states: Codes, shocks: Floats) -> Floats:
    """Log returns of unit scale: drift + deviation × shock; in `ranging`, steps of a level that is pulled back by 7 % a session.

    Args:
        states: Regime code of each session.
        shocks: One shock per session, of mean 0 and variance about 1.
    """
    out = DRIFT[states] + DEVIATION[states] * shocks
    change = np.flatnonzero(np.diff(states)) + 1
    for first, end in zip(np.append(0, change), np.append(change, states.size), strict=True):
        if states[first] == RANGING:
            out[first:end] = np.diff(_pulled(DEVIATION[RANGING] * shocks[first:end]), prepend=0.0)
    return out


def _pulled(noise: Floats) -> Floats:
    """level(t) = 0.93 × level(t-1) + noise(t), from level 0, as a discounted running sum."""
    discount = (1 - _PULL) ** np.arange(1, noise.size + 1)
    level: Floats = np.cumsum(noise / discount) * discount
    return level
