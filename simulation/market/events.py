"""What happens to a symbol besides its diffusion: earnings, jumps, halted sessions, dividends and splits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.market.model import Instrument
from simulation.market.regimes import DEVIATION, Codes, Floats
from simulation.market.returns import MOVE_MAX, Diffusion
from simulation.market.streams import dice
from simulation.market.timeline import timeline

QUARTER = 63
BOARD_AFTER, DIVIDEND_AFTER = 15, 30
JUMPS_PER_SESSION = 1 / 300
HALTS_PER_SESSION = 1 / 252
LEAD_MAX = 20
REVERSE_BELOW = 5.0
_SMALL_EXCESS, _LARGE_EXCESS = 1.06, 1.35
_JUMP_MAX, _JUMP_MIN = 0.15, 0.03
_EARNINGS_MAX, _EARNINGS_MIN = 0.12, 0.015
_BESIDE_A_JUMP = 0.06


@dataclass(frozen=True, slots=True)
class Events:
    """By session number, over the whole life of the market.

    Args:
        earnings: Log gap at the open; 0 for none.
        jumps: Log step within the session; 0 for none.
        halted: Sessions without trading.
        boards: Sessions on whose open a split may take effect.
        dividends: Ex-dates of dividends, if the symbol pays any.
    """

    earnings: Floats
    jumps: Floats
    halted: NDArray[np.bool_]
    boards: Codes
    dividends: Codes


@dataclass(frozen=True, slots=True)
class Action:
    """A split (ratio new shares per old one) or a dividend (amount in USD) at the open of session `number`."""

    number: int
    ratio: float
    amount: float


@dataclass(frozen=True, slots=True)
class Step:
    """Log returns by session, events included, and the deviation from which the diffusion was drawn."""

    total: Floats
    jumps: Floats
    earnings: Floats
    sigma: Floats


def draw_events(seed: int, one: Instrument, diffusion: Diffusion) -> Events:
    """The events of one symbol. Earnings, board and ex-date come once a quarter each, 15 sessions apart."""
    die, numbers = dice(seed, "events", one.symbol), np.arange(timeline().length)
    phase = int(die.integers(QUARTER))
    place = (numbers - phase) % QUARTER
    first, last = timeline().number(one.first), timeline().number(one.last)
    alive = (numbers > first + LEAD_MAX) & (numbers <= last)
    planned = np.isin(place, (0, BOARD_AFTER, DIVIDEND_AFTER))
    rare = die.random((2, numbers.size))
    has_jump = alive & ~planned & (rare[0] < JUMPS_PER_SESSION) & (not one.quiet)
    halted = alive & ~planned & ~has_jump & (rare[1] < HALTS_PER_SESSION) & one.halts
    has_earnings = alive & (place == 0) & (not one.quiet)
    # The size follows the regime, not the day's unrest: an event must not hide the regime in which it happens.
    usual = one.scale * DEVIATION[diffusion.states]
    jumps = _signed(die, usual, 5.0, 9.0, _JUMP_MIN, _JUMP_MAX)
    gaps = _signed(die, usual, 1.5, 4.0, _EARNINGS_MIN, _EARNINGS_MAX)
    return Events(
        earnings=np.where(has_earnings, gaps, 0.0),
        jumps=np.where(has_jump, jumps, 0.0),
        halted=halted,
        boards=numbers[alive & (place == BOARD_AFTER)],
        dividends=numbers[alive & (place == DIVIDEND_AFTER)] if one.dividend else numbers[:0],
    )


def stepped(diffusion: Diffusion, events: Events) -> Step:
    """Returns with events; a whole session moves by at most 0.21, and the diffusion beside a jump by 0.06.

    No move passes the quality gate's border of 25 %, so each of its failures on this market is a real finding.
    """
    room = np.where(events.jumps != 0, _BESIDE_A_JUMP, MOVE_MAX)
    calm = np.clip(diffusion.returns, -room - events.earnings, room - events.earnings)
    total = np.where(events.halted, 0.0, calm + events.earnings + events.jumps)
    return Step(total, events.jumps, events.earnings, diffusion.sigma)


def actions_of(one: Instrument, events: Events, level: Floats) -> tuple[Action, ...]:
    """Splits and dividends that follow from the price.

    A board splits 2:1 above its border, 3:2 when the price is less than 6 % above it, 3:1 when it is more than 35 % above it,
    and joins ten shares into one below 5 USD. A dividend is a fixed fraction of the last close, in whole cents.

    Args:
        level: Log price by session if there were no actions.
    """
    boards = dict.fromkeys(events.boards.tolist(), True)
    planned = sorted(boards | dict.fromkeys(events.dividends.tolist(), False))
    shift, taken = 0.0, []
    for number in planned:
        price = round(float(np.exp(level[number - 1] + shift)), 2)
        action = _split(one, number, price) if boards.get(number) else _dividend(one, number, price)
        if action is not None:
            shift += shift_of(action, price)
            taken.append(action)
    return tuple(taken)


def shift_of(action: Action, price: float) -> float:
    """What an action adds to the log price at its open, given the last close before it."""
    return float(np.log1p(-action.amount / price) - np.log(action.ratio))


def _split(one: Instrument, number: int, price: float) -> Action | None:
    if price < REVERSE_BELOW:
        return Action(number, 0.1, 0.0)
    if price <= one.split_above:
        return None
    excess = price / one.split_above
    return Action(number, 1.5 if excess < _SMALL_EXCESS else 3.0 if excess > _LARGE_EXCESS else 2.0, 0.0)


def _dividend(one: Instrument, number: int, price: float) -> Action | None:
    amount = round(one.dividend * price, 2)
    return Action(number, 1.0, amount) if amount > 0 else None


def _signed(die: np.random.Generator, usual: Floats, low: float, high: float, least: float, most: float) -> Floats:
    sizes = np.clip(usual * die.uniform(low, high, usual.size), least, most)
    return np.where(die.random(usual.size) < 0.5, -sizes, sizes)
