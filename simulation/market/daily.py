"""Daily bars of one symbol over its whole life, in cents and whole shares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.market.events import Action, Step, actions_of, draw_events, shift_of, stepped
from simulation.market.model import Instrument
from simulation.market.regimes import Codes, Floats
from simulation.market.returns import Diffusion
from simulation.market.streams import dice
from simulation.market.timeline import timeline

VOLUME_MIN = 20_000
_OVERNIGHT = 0.2
_BEYOND_MAX = 0.12
_ACTIVITY = np.array([1.0, 1.1, 1.6, 0.8, 0.95])
_ON_A_JUMP, _ON_EARNINGS = 12.0, 2.5
_FULL_DAY = 390
_SHARES_MIN = 300_000.0


@dataclass(frozen=True, slots=True)
class Life:
    """One symbol from its first session to its last; arrays are indexed by session number minus `first`.

    Args:
        first: Number of the first session.
        prices: Shape (4, sessions): open, high, low, close in cents, as traded.
        volume: Whole shares.
        states: Regime code.
        jumps: Log step within the session; 0 for none.
        earnings: Log gap at the open; 0 for none.
        halted: Sessions without trading; their prices and volume are not traded and no table shows them.
        actions: Splits and dividends, ascending.
    """

    first: int
    prices: NDArray[np.int32]
    volume: NDArray[np.int64]
    states: NDArray[np.int8]
    jumps: Floats
    earnings: Floats
    halted: NDArray[np.bool_]
    actions: tuple[Action, ...]

    @property
    def numbers(self) -> range:
        """The session numbers of this life."""
        return range(self.first, self.first + self.volume.size)


def live(seed: int, one: Instrument, diffusion: Diffusion) -> Life:
    """The whole life of one symbol."""
    first, end = timeline().number(one.first), timeline().number(one.last) + 1
    events = draw_events(seed, one, diffusion)
    step = stepped(diffusion, events)
    total = step.total.copy()
    total[:first] = 0.0
    level = np.log(one.first_price) + np.cumsum(total)
    actions = actions_of(one, events, level)
    shifted = level + _shifts(actions, level)
    prices = _prices(dice(seed, "range", one.symbol), step, shifted)
    volume = _volume(dice(seed, "volume", one.symbol), one, step, diffusion.states, actions, level - level[0])
    lived = slice(first, end)
    return Life(
        first,
        prices[:, lived].astype(np.int32),
        volume[lived],
        diffusion.states[lived].astype(np.int8),
        events.jumps[lived],
        events.earnings[lived],
        events.halted[lived],
        actions,
    )


def _shifts(actions: tuple[Action, ...], level: Floats) -> Floats:
    """What the actions so far add to the log price, by session."""
    steps, shift = np.zeros(level.size), 0.0
    for action in actions:
        price = round(float(np.exp(level[action.number - 1] + shift)), 2)
        steps[action.number] = shift_of(action, price)
        shift += steps[action.number]
    return np.cumsum(steps)


def _prices(die: np.random.Generator, step: Step, closes: Floats) -> NDArray[np.int64]:
    """Open, high, low and close in cents from log closes.

    The night takes 20 % of the diffusion's variance and is independent of the day: gap = w × r + sqrt(w(1 - w)) × noise. The
    extremes are those of a Brownian bridge from open to close, of which P(max < m) = 1 - exp(-2m(m - d) / s²).
    """
    diffusive = step.total - step.jumps - step.earnings
    noise = step.sigma * die.standard_normal(closes.size)
    gap = step.earnings + _OVERNIGHT * diffusive + np.sqrt(_OVERNIGHT * (1 - _OVERNIGHT)) * noise
    day = step.total - gap
    spread = (1 - _OVERNIGHT) * step.sigma**2
    reach = np.sqrt(day**2 - 2 * spread * np.log1p(-die.random((2, closes.size))))
    above = np.minimum((day + reach[0]) / 2, np.maximum(day, 0) + _BEYOND_MAX)
    below = np.maximum((day - reach[1]) / 2, np.minimum(day, 0) - _BEYOND_MAX)
    opens = closes - day
    prices = np.exp(np.stack([opens, opens + above, opens + below, closes]))
    cents: NDArray[np.int64] = np.maximum(np.rint(100 * prices), 1).astype(np.int64)
    cents[1] = cents.max(axis=0)
    cents[2] = cents.min(axis=0)
    return cents


def _volume(
    die: np.random.Generator,
    one: Instrument,
    step: Step,
    states: Codes,
    actions: tuple[Action, ...],
    growth: Floats,
) -> NDArray[np.int64]:
    """Shares: more when prices move, far more on a jump, fewer in a short session; splits multiply them.

    Turnover in USD grows with the root of the price.
    """
    noise = np.clip(0.35 * die.standard_normal(states.size), -1.0, 1.0)
    usual = max(_SHARES_MIN, one.turnover / one.first_price) * _ACTIVITY[states]
    moved = 1 + 0.4 * np.abs(step.total - step.jumps - step.earnings) / step.sigma
    crowd = np.where(step.jumps != 0, _ON_A_JUMP, np.where(step.earnings != 0, _ON_EARNINGS, 1.0))
    ratios = np.ones(states.size)
    for action in actions:
        ratios[action.number] = action.ratio
    hours = timeline().minutes / _FULL_DAY
    shares = usual * moved * crowd * hours * np.cumprod(ratios) * np.exp(noise - 0.5 * growth)
    whole: NDArray[np.int64] = np.maximum(np.rint(shares), VOLUME_MIN).astype(np.int64)
    return whole
