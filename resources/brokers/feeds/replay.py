"""A feed that tells the tape of bars as the clock passes them."""

import asyncio
import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from resources.brokers.feeds import Teller
from resources.brokers.feeds.tape import Moment, Shown, TapeBar, moments, standing
from resources.clock import speed_of, until
from trading_assets.broker.model import Quote
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ports import Clock

AGAIN: Final = timedelta(seconds=1)
"""How often a standing quote is told again, in the clock's time; in real time no more often than AGAIN_S_MIN."""
AGAIN_S_MIN: Final = 0.05


class BarSource(Protocol):
    """Where the bars of a session come from."""

    @property
    def name(self) -> str:
        """The feed's name."""
        ...

    def knows(self, symbol: str, session: Session) -> bool:
        """Whether it has bars of the symbol in the session."""
        ...

    def bars(self, symbol: str, session: Session) -> tuple[TapeBar, ...]:
        """The session's bars, ascending; empty where they do not reach from its open to its close."""
        ...

    def volume_before(self, symbol: str, session: Session) -> int | None:
        """Shares of the last bar before the session, None where there is none."""
        ...

    def problem(self, session: Session) -> DataNotReady | None:
        """Why the session can have no quotes at all; None when it can."""
        ...


@dataclass(slots=True)
class _Tape:
    """What a symbol's session will have told, and how much of it was."""

    moments: tuple[Moment, ...]
    told: int = 0
    newest: Quote | None = None
    instants: tuple[datetime, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.instants = tuple(moment.at for moment in self.moments)

    @property
    def next_at(self) -> datetime | None:
        """When it tells something new."""
        return self.instants[self.told] if self.told < len(self.instants) else None

    def skip(self, now: datetime) -> None:
        """Begins in the middle: only the newest quote of what has passed stands."""
        self.told = bisect.bisect_right(self.instants, now)
        if self.told:
            self.newest = self.moments[self.told - 1].quotes[-1]

    def due(self, now: datetime, *, again: bool) -> tuple[Quote, ...]:
        """What is new by now, in order; where nothing is, what stands, if it is to be told again."""
        end = bisect.bisect_right(self.instants, now)
        new = tuple(quote for moment in self.moments[self.told : end] for quote in moment.quotes)
        self.told = end
        if new:
            self.newest = new[-1]
            return new
        return (standing(self.newest, now, self.next_at),) if again and self.newest is not None else ()


class ReplayFeed:
    """Quotes of bars, as the clock passes them, session after session.

    Args:
        source: The bars; their market may be read ahead, what is told never is.
        clock: The desk's clock.
        spread_bp: Between bid and ask.
        volume_share: Of a bar's volume that is shown on each side.
    """

    def __init__(self, source: BarSource, clock: Clock, *, spread_bp: float, volume_share: float) -> None:
        self._source, self._clock = source, clock
        self._shown = Shown(spread_bp, volume_share)
        self._watched: set[str] = set()
        self._tapes: dict[str, _Tape] = {}
        self._woken = asyncio.Event()

    @property
    def name(self) -> str:
        """`lake` or `simulated`."""
        return self._source.name

    async def open(self) -> None:
        """Refuses with DataNotReady a session without intraday bars."""
        problem = await asyncio.to_thread(self._source.problem, self._session())
        if problem is not None:
            raise problem

    async def knows(self, symbol: str) -> bool:
        """Whether the session has bars of it."""
        return await asyncio.to_thread(self._source.knows, symbol, self._session())

    def watch(self, symbols: Sequence[str]) -> None:
        """Tells these symbols too."""
        if not set(symbols) <= self._watched:
            self._watched |= set(symbols)
            self._woken.set()

    async def run(self, tell: Teller) -> None:
        """Tells the tape of one session after the other until it is cancelled."""
        while True:
            session = self._session()
            self._tapes = {}
            while self._clock.now() < session.close or self._untold:
                await self._join(session)
                now = self._clock.now()
                open_still = now < session.close
                told = [quote for _, tape in sorted(self._tapes.items()) for quote in tape.due(now, again=open_still)]
                if told:
                    tell(sorted(told, key=lambda quote: quote.at))
                await self._rest(session)

    @property
    def _untold(self) -> bool:
        return any(tape.next_at is not None for tape in self._tapes.values())

    async def _join(self, session: Session) -> None:
        """Reads the bars of symbols that are watched and have no tape yet."""
        self._woken.clear()
        for symbol in sorted(self._watched - self._tapes.keys()):
            bars = await asyncio.to_thread(self._source.bars, symbol, session)
            before = await asyncio.to_thread(self._source.volume_before, symbol, session)
            self._tapes[symbol] = _Tape(tuple(moments(bars, self._shown, volume_before=before)))
            self._tapes[symbol].skip(self._clock.now())

    async def _rest(self, session: Session) -> None:
        """Until something new is due, a standing quote is due again, or another symbol is watched."""
        now, speed = self._clock.now(), speed_of(self._clock) or 1.0
        again = now + max(AGAIN, timedelta(seconds=AGAIN_S_MIN * speed))
        due = [tape.next_at for tape in self._tapes.values() if tape.next_at is not None]
        waiting = asyncio.ensure_future(until(self._clock, min([again, session.close, *due])))
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait({waiting, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            woken.cancel()

    def _session(self) -> Session:
        """The session under way, or the next one."""
        now = self._clock.now()
        today = XNYS.today(now)
        return today if today and now < today.close else XNYS.next(now.astimezone(NEW_YORK).date())
