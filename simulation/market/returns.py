"""Daily log returns without events: one market factor, eleven sector factors, own shocks, and planted pairs."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulation.market import regimes
from simulation.market.cast import Cast
from simulation.market.model import Instrument, Pair
from simulation.market.regimes import Chain, Codes, Floats
from simulation.market.streams import dice
from simulation.market.timeline import timeline

MOVE_MAX = 0.21
_QUIET_MOVE_MAX = 0.12
_UNREST_VARIANCE = 0.04
_SHARED = 0.5
_SPREAD_NOISE = 0.004
_MEMORY, _MEMORY_OF_BREAKING = 0.8, 0.93
_EPISODE_GAP, _EPISODE_GAP_END = 250, 500
_EPISODE, _EPISODE_END = 30, 60


@dataclass(frozen=True, slots=True)
class Diffusion:
    """A symbol's sessions from 2004 on, also those before its listing.

    Args:
        states: Regime code.
        returns: Log return, close to close, net of actions and without events.
        sigma: The deviation from which it was drawn.
    """

    states: Codes
    returns: Floats
    sigma: Floats


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of sessions in which a pair's bond is cut, and the number of the session in which it has converged again."""

    first: int
    last: int
    converged: int


class Factors:
    """What symbols share, made once per seed, and the returns of each symbol."""

    def __init__(self, seed: int, cast: Cast) -> None:
        self.seed = seed
        self.length = timeline().length
        self.chain: Chain = regimes.market_chain(seed, self.length)
        self.states = self.chain.states(self.length)
        self._cast = cast
        self._market = dice(seed, "market", "shocks").standard_normal(self.length)
        self._unrest = regimes.unrest(seed, self.length, "market")
        self._sector = lru_cache(maxsize=None)(self._sector_shocks)
        self.diffusion = lru_cache(maxsize=64)(self._diffusion)

    def episodes(self, pair: Pair) -> tuple[Episode, ...]:
        """The breakdowns of a pair, ascending; none for a pair that does not break."""
        if not pair.breaks:
            return ()
        cuts = _cuts(self.seed, pair, self.length)
        spread = self._spread(pair, self.diffusion(pair.first))
        return tuple(_closed(first, last, spread) for first, last in cuts)

    def _sector_shocks(self, sector: str) -> Floats:
        return dice(self.seed, "sector", sector).standard_normal(self.length)

    def _diffusion(self, symbol: str) -> Diffusion:
        pair = self._cast.pairs.get(symbol)
        return self._alone(self._cast.instruments[symbol]) if pair is None else self._second_leg(pair)

    def _alone(self, one: Instrument) -> Diffusion:
        states = regimes.symbol_chain(self.seed, one.symbol, self.chain).states(self.length)
        if one.fails:
            states = regimes.falling_at_the_end(states, timeline().number(one.last))
        own = dice(self.seed, "shocks", one.symbol).standard_normal(self.length)
        own_share = np.sqrt(1 - one.market_share**2 - one.sector_share**2)
        mixed = one.market_share * self._market + one.sector_share * self._sector(one.sector) + own_share * own
        unrest = np.sqrt(_SHARED) * (self._unrest + regimes.unrest(self.seed, self.length, "symbol", one.symbol))
        heat = np.exp(unrest - _UNREST_VARIANCE)
        limit = _QUIET_MOVE_MAX if one.quiet else MOVE_MAX
        returns = np.clip(one.scale * regimes.moves(states, heat * mixed), -limit, limit)
        return Diffusion(states, returns, one.scale * regimes.DEVIATION[states] * heat)

    def _second_leg(self, pair: Pair) -> Diffusion:
        first = self.diffusion(pair.first)
        steps = np.diff(self._spread(pair, first), prepend=0.0)
        sigma = np.hypot(pair.hedge_ratio * first.sigma, self._spread_noise(pair))
        return Diffusion(first.states, pair.hedge_ratio * first.returns + steps, sigma)

    def _spread(self, pair: Pair, first: Diffusion) -> Floats:
        """log(second) - hedge_ratio × log(first) by session: pulled back by 20 % a session.

        In a pair that breaks it is pulled by 7 %, and left alone in an episode: the second leg has a shock of its own.
        """
        die = dice(self.seed, "spread", pair.second)
        pulled = (self._spread_noise(pair) * die.standard_normal(self.length)).tolist()
        memory = _MEMORY_OF_BREAKING if pair.breaks else _MEMORY
        free = first.sigma * die.standard_normal(self.length) - pair.hedge_ratio * first.returns
        cut = np.zeros(self.length, dtype=bool)
        for begin, end in _cuts(self.seed, pair, self.length) if pair.breaks else ():
            cut[begin : end + 1] = True
        level, levels = 0.0, []
        for alone, own, noise in zip(cut.tolist(), free.tolist(), pulled, strict=True):
            level = level + own if alone else memory * level + noise
            levels.append(level)
        return np.array(levels)

    def _spread_noise(self, pair: Pair) -> float:
        return _SPREAD_NOISE * self._cast.instruments[pair.first].scale


def _cuts(seed: int, pair: Pair, length: int) -> list[tuple[int, int]]:
    """First and last session of each episode: 30 to 59 sessions, 250 to 499 sessions after the one before."""
    die, last = dice(seed, "episodes", pair.second), 0
    cuts: list[tuple[int, int]] = []
    while True:
        first = last + int(die.integers(_EPISODE_GAP, _EPISODE_GAP_END))
        last = first + int(die.integers(_EPISODE, _EPISODE_END)) - 1
        if last + _EPISODE_GAP > length:
            return cuts
        cuts.append((first, last))


def _closed(first: int, last: int, spread: Floats) -> Episode:
    usual = 2 * float(np.std(spread[first - _EPISODE_GAP : first - _EPISODE]))
    back = np.flatnonzero(np.abs(spread[last + 1 :]) <= usual)
    return Episode(first, last, last + 1 + int(back[0]))
