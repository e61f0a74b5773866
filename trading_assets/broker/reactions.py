"""What the gateway does by itself when the market moves or the day ends, and only ever to reduce.

A stop and a target rest at the broker; here is what happens when the stop should have filled and did not, when a gain meets
doubt, when a symbol or the market falls too fast, and when the session ends. A single quote moves nothing: of the last two sound
ones the milder counts. What is frozen, delayed, halted, crossed, one-sided, not a number or far apart is no quote at all.

Prices are floats here: they are compared with thresholds and never booked.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from trading_assets.broker.model import Quote
from trading_assets.broker.settings import Reactions
from trading_assets.core.calendar import XNYS, Session

TRIM_BELOW_CONFIDENCE = 0.6
SPREAD_FRACTION_MAX = 0.05
"""Sides further apart say nothing about the price."""
SESSION_ENDS = "the session ends"
"""The cause of everything that happens because the close is near."""
BUCKETS = 12
"""A window of time is kept in so many parts; it may look back by one part too far, never too short."""


@dataclass(frozen=True, slots=True)
class Held:
    """A position as the reactions see it.

    Args:
        key: Names the position for as long as it lives, for example its first intent; another key is another position.
        quantity: Shares, negative when owed.
        entry: The average price paid, USD; None where it is not known: nothing is trimmed.
        stop: The plan's stop, USD; None where there is none.
        confidence: Of the thesis now; None where there is none: nothing is trimmed.
        trimmed: Whether it was trimmed for its gain already.
    """

    symbol: str
    key: str
    quantity: int
    entry: Decimal | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    flat_by_close: bool = False
    confidence: float | None = None
    trimmed: bool = False


@dataclass(frozen=True, slots=True)
class Flatten:
    """Close the position at the market. The same occasion is asked once; the next one means cancel, confirm, replace."""

    symbol: str
    quantity: int
    cause: str
    occasion: str


@dataclass(frozen=True, slots=True)
class Trim:
    """Take a part of the position off."""

    symbol: str
    quantity: int
    cause: str
    occasion: str


@dataclass(frozen=True, slots=True)
class CloseEntries:
    """Cancel entries that wait and send no new ones, in a symbol or, empty, in all."""

    symbol: str
    cause: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Tell the operator."""

    severity: Literal["warning", "critical"]
    code: str
    sentence: str


Wanted = Flatten | Trim | CloseEntries | Alarm


@dataclass(frozen=True, slots=True)
class _Line:
    """The recent market in one symbol: past parts in time with their highest and lowest, and the running part's peak and dip."""

    at: datetime
    mid: float
    part_at: datetime
    peak: float
    dip: float
    times: tuple[datetime, ...] = ()
    highs: tuple[float, ...] = ()
    lows: tuple[float, ...] = ()
    high: float = 0.0
    low: float = float("inf")
    crash_high: float = 0.0
    is_down: bool = False


@dataclass(frozen=True, slots=True)
class _Acts:
    """What was done for a position already, and since when the price is through its stop."""

    key: str
    through_since: datetime | None = None
    flattens: int = 0
    flattened_at: datetime | None = None
    trimmed: bool = False
    told: bool = False


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The settings as the hot path needs them."""

    breaker: float
    breaker_window: timedelta
    crash: float
    crash_window: timedelta
    crash_share: float
    trim_gain: float
    trim_share: float
    grace: timedelta
    before_close: timedelta


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that the reactions remember. It is a value: each step makes the next one."""

    bounds: _Bounds
    watched: int
    session: Session | None = None
    held: Mapping[str, Held] = field(default_factory=dict)
    lines: Mapping[str, _Line] = field(default_factory=dict)
    acts: Mapping[str, _Acts] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    down: int = 0
    crashed: bool = False


def new_board(settings: Reactions, symbols: Iterable[str], *, now: datetime) -> Board:
    """A board that watches the symbols and knows nothing of the market yet."""
    bounds = _Bounds(
        breaker=settings.breaker_fraction,
        breaker_window=timedelta(minutes=settings.breaker_minutes),
        crash=settings.crash_fraction,
        crash_window=timedelta(seconds=settings.crash_seconds),
        crash_share=settings.crash_symbols_share,
        trim_gain=settings.trim_gain_fraction,
        trim_share=settings.trim_share,
        grace=timedelta(seconds=settings.naked_seconds),
        before_close=timedelta(minutes=settings.flatten_minutes_before_close),
    )
    return Board(bounds, len(set(symbols)), XNYS.today(now))


def with_positions(board: Board, positions: Iterable[Held]) -> Board:
    """The board with the positions as they are now; what was done for those that go on is remembered."""
    held = {position.symbol: position for position in positions if position.quantity}
    acts = {symbol: _acts_of(board, position) for symbol, position in sorted(held.items())}
    return replace(board, held=held, acts=acts)


def on_quote(board: Board, quote: Quote, now: datetime) -> tuple[Board, tuple[Wanted, ...]]:
    """The board after a quote, and what is wanted because of it. A quote outside the session changes nothing."""
    mid = _sound_mid(quote)
    session = board.session
    if mid is None or session is None or not session.open <= quote.at < session.close:
        return board, ()
    line = board.lines.get(quote.symbol)
    if line is None:
        fresh = _Line(at=quote.at, mid=mid, part_at=quote.at, peak=0.0, dip=float("inf"))
        return replace(board, lines={**board.lines, quote.symbol: fresh}), ()
    if quote.at <= line.at:
        return board, ()
    above, below = (line.mid, mid) if line.mid > mid else (mid, line.mid)
    line = _next_line(board.bounds, line, quote.at, mid, above=above, below=below)
    board, wanted = _breakers(board, quote.symbol, line, above=above, below=below)
    held = board.held.get(quote.symbol)
    if held is None:
        return board, wanted
    board, own = _of_position(board, held, now, above=above, below=below)
    return board, (*wanted, *own)


def on_time(board: Board, now: datetime) -> tuple[Board, tuple[Wanted, ...]]:
    """The board a moment later: a new session, stops that stay unfilled, positions that must end with the session."""
    session = XNYS.today(now)
    if session != board.session:
        board = replace(board, session=session, lines={}, closed=frozenset(), down=0, crashed=False)
    board = _forgetting(board, now)
    wanted: list[Wanted] = []
    for symbol in sorted(board.held):
        board, some = _of_clock(board, board.held[symbol], now)
        wanted += some
    return board, tuple(wanted)


def _forgetting(board: Board, now: datetime) -> Board:
    """Falls that are older than the window of a crash do not count any more, though no quote has come since."""
    old = {
        symbol: replace(line, is_down=False)
        for symbol, line in board.lines.items()
        if line.is_down and now - line.at > board.bounds.crash_window
    }
    return replace(board, lines={**board.lines, **old}, down=board.down - len(old)) if old else board


def _acts_of(board: Board, position: Held) -> _Acts:
    known = board.acts.get(position.symbol)
    if known is None or known.key != position.key:
        return _Acts(position.key, trimmed=position.trimmed)
    return replace(known, trimmed=known.trimmed or position.trimmed)


def _sound_mid(quote: Quote) -> float | None:
    """Half way between the sides; None for a quote that nothing may follow from."""
    if quote.kind != "live" or quote.halted or quote.bid is None or quote.ask is None:
        return None
    bid, ask = float(quote.bid), float(quote.ask)
    if not 0 < bid < ask < float("inf") or ask - bid > SPREAD_FRACTION_MAX * bid:
        return None
    return (bid + ask) / 2


def _next_line(bounds: _Bounds, line: _Line, at: datetime, mid: float, *, above: float, below: float) -> _Line:
    """The line with one more quote: a high counts when two quotes in a row reached it, and so does a low."""
    part_at, peak, dip = line.part_at, line.peak, line.dip
    if at - part_at < bounds.crash_window / BUCKETS:
        return _Line(
            at,
            mid,
            part_at,
            below if below > peak else peak,
            above if above < dip else dip,
            line.times,
            line.highs,
            line.lows,
            line.high,
            line.low,
            line.crash_high,
            line.is_down,
        )
    return _next_part(bounds, line, at, mid, above=above, below=below)


def _next_part(bounds: _Bounds, line: _Line, at: datetime, mid: float, *, above: float, below: float) -> _Line:
    """The line where a new part begins; what has left the window is forgotten."""
    times, highs, lows = (*line.times, line.at), (*line.highs, line.peak), (*line.lows, line.dip)
    kept = bisect_left(times, at - bounds.breaker_window)
    times, highs, lows = times[kept:], highs[kept:], lows[kept:]
    recent = highs[bisect_left(times, at - bounds.crash_window) :]
    return _Line(
        at=at,
        mid=mid,
        part_at=at,
        peak=below,
        dip=above,
        times=times,
        highs=highs,
        lows=lows,
        high=max(highs, default=0.0),
        low=min(lows, default=float("inf")),
        crash_high=max(recent, default=0.0),
        is_down=line.is_down,
    )


def _breakers(
    board: Board, symbol: str, line: _Line, *, above: float, below: float
) -> tuple[Board, tuple[Wanted, ...]]:
    """A symbol that moves too far is closed to entries; when many fall at once, all are."""
    bounds = board.bounds
    crash_high = line.crash_high if line.crash_high > line.peak else line.peak
    is_down = above <= crash_high * (1 - bounds.crash)
    down = board.down + is_down - line.is_down
    if is_down != line.is_down:
        line = replace(line, is_down=is_down)
    board = Board(
        bounds,
        board.watched,
        board.session,
        board.held,
        {**board.lines, symbol: line},
        board.acts,
        board.closed,
        down,
        board.crashed,
    )
    wanted: tuple[Wanted, ...] = ()
    if symbol not in board.closed and _has_broken(bounds, line, above=above, below=below):
        board = replace(board, closed=board.closed | {symbol})
        wanted = _broken(symbol, bounds)
    if down > 1 and not board.crashed and down >= bounds.crash_share * board.watched:
        board = replace(board, crashed=True)
        wanted = (*wanted, *_crash(board))
    return board, wanted


def _has_broken(bounds: _Bounds, line: _Line, *, above: float, below: float) -> bool:
    high = line.high if line.high > line.peak else line.peak
    low = line.low if line.low < line.dip else line.dip
    return above <= high * (1 - bounds.breaker) or below >= low * (1 + bounds.breaker)


def _broken(symbol: str, bounds: _Bounds) -> tuple[Wanted, ...]:
    minutes = bounds.breaker_window.total_seconds() / 60
    cause = f"{symbol} moved by {bounds.breaker:.0%} or more within {minutes:g} minutes"
    return CloseEntries(symbol, cause), Alarm("warning", "symbol_breaker", cause)


def _crash(board: Board) -> tuple[Wanted, ...]:
    seconds = board.bounds.crash_window.total_seconds()
    cause = (
        f"{board.down} of {board.watched} symbols fell by {board.bounds.crash:.0%} or more within {seconds:g} seconds"
    )
    return CloseEntries("", cause), Alarm("critical", "flash_crash", cause)


def _of_position(
    board: Board, held: Held, now: datetime, *, above: float, below: float
) -> tuple[Board, tuple[Wanted, ...]]:
    """What the price means for a position: through its stop for too long, or gained enough to take some off."""
    acts = board.acts[held.symbol]
    towards = above if held.quantity > 0 else below
    if held.stop is not None and _is_beyond(towards, float(held.stop), held.quantity):
        since = acts.through_since if acts.through_since is not None else now
        if since != acts.through_since:
            board, acts = _remember(board, held, replace(acts, through_since=since))
        return _unfilled_stop(board, held, acts, now)
    if acts.through_since is not None:
        board, acts = _remember(board, held, replace(acts, through_since=None))
    if acts.trimmed or held.confidence is None or held.entry is None:
        return board, ()
    return _trimmed(board, held, acts, below if held.quantity > 0 else above)


def _is_beyond(price: float, level: float, quantity: int) -> bool:
    return price < level if quantity > 0 else price > level


def _trimmed(board: Board, held: Held, acts: _Acts, price: float) -> tuple[Board, tuple[Wanted, ...]]:
    """Takes a part off a gain that the thesis does not carry any more; once for each position."""
    entry = float(held.entry or 0)
    gain = (price - entry) if held.quantity > 0 else (entry - price)
    is_doubted = held.confidence is not None and 0 <= held.confidence < TRIM_BELOW_CONFIDENCE
    share = int(abs(held.quantity) * board.bounds.trim_share)
    if not is_doubted or share < 1 or not gain >= board.bounds.trim_gain * entry > 0:
        return board, ()
    board, _ = _remember(board, held, replace(acts, trimmed=True))
    cause = f"gained {gain / entry:.1%} with confidence {held.confidence:.2f}"
    return board, (Trim(held.symbol, share, cause, f"trim/{held.symbol}/{held.key}"),)


def _of_clock(board: Board, held: Held, now: datetime) -> tuple[Board, tuple[Wanted, ...]]:
    session, acts = board.session, board.acts[held.symbol]
    if session is None or not session.open <= now:
        return board, ()
    if held.flat_by_close and now >= session.close - board.bounds.before_close:
        if now >= session.close:
            return _left_over(board, held, acts)
        board, wanted = _flattened(board, held, acts, now, SESSION_ENDS)
        return board, (CloseEntries(held.symbol, SESSION_ENDS), *wanted) if wanted else ()
    if acts.through_since is not None and now < session.close:
        return _unfilled_stop(board, held, acts, now)
    return board, ()


def _unfilled_stop(board: Board, held: Held, acts: _Acts, now: datetime) -> tuple[Board, tuple[Wanted, ...]]:
    since = acts.through_since
    if since is None or now - since < board.bounds.grace:
        return board, ()
    cause = f"the price is through the stop {held.stop} for {(now - since).total_seconds():.0f} s and it has not filled"
    return _flattened(board, held, acts, now, cause)


def _flattened(board: Board, held: Held, acts: _Acts, now: datetime, cause: str) -> tuple[Board, tuple[Wanted, ...]]:
    """Asks to flatten, again with growing pauses while the position stays, and tells the operator from the second time on."""
    if acts.flattened_at is not None and now - acts.flattened_at < board.bounds.grace * acts.flattens:
        return board, ()
    number = acts.flattens + 1
    day = board.session.key if board.session is not None else ""
    board, _ = _remember(board, held, replace(acts, flattens=number, flattened_at=now))
    wanted: tuple[Wanted, ...] = (
        Flatten(held.symbol, abs(held.quantity), cause, f"flatten/{held.symbol}/{day}/{held.key}/{number}"),
    )
    if number > 1:
        sentence = f"{held.symbol} is asked to be flattened for the {number}. time: {cause}"
        wanted = (*wanted, Alarm("critical", "flatten_again", sentence))
    return board, wanted


def _left_over(board: Board, held: Held, acts: _Acts) -> tuple[Board, tuple[Wanted, ...]]:
    if acts.told:
        return board, ()
    board, _ = _remember(board, held, replace(acts, told=True))
    return board, (Alarm("critical", "not_flat", f"{held.quantity} {held.symbol} are held after the close"),)


def _remember(board: Board, held: Held, acts: _Acts) -> tuple[Board, _Acts]:
    return replace(board, acts={**board.acts, held.symbol: acts}), acts
