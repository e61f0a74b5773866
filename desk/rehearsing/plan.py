"""What is rehearsed: which day, how fast, on which market, and what goes wrong when."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Literal, get_args

from trading_assets.core.calendar import NEW_YORK, Session
from trading_assets.core.errors import PermanentFailure

MarketName = Literal["simulated", "embedded", "files"]
BrokerChoice = Literal["paper", "bars"]
Launcher = Literal["warm", "stock"]
FaultName = Literal["flash-crash", "broker-outage", "kill-daemon", "kill-gateway", "kill-run", "lock-ledger"]
FAULTS: tuple[FaultName, ...] = get_args(FaultName)
Moment = Literal["submitting", "deciding"]
MOMENTS: tuple[Moment, ...] = get_args(Moment)
SPEED_MAX = 400.0
SYMBOLS, PAST_SESSIONS = 8, 330
"""Symbols of the simulated market, and sessions of bars before the day: before 266 of them no regime is known."""
ROOM_S = 75.0
"""Of the machine: so long a morning takes, from its first part to the open."""
LEAD = timedelta(minutes=5)
"""Of the desk's time: the clock begins so long before the first part of the morning."""
_DEFAULT_S = {"broker-outage": 120.0, "kill-daemon": 600.0, "kill-gateway": 300.0, "lock-ledger": 5.0}
_LONG = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>s|m|real)")
_EXAMPLE = (
    "broker-outage@10:00:05+120s, kill-daemon@11:10:00+30m, lock-ledger@12:00:00+5real, broker-outage@submitting+300s"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Args:
        at: The desk's instant at which it begins; None where it waits for `moment`.
        moment: The first time that an order is being submitted, or that a decision is being made.
        machine_s: How long it lasts, in seconds of the machine; 0 for what does not last.
    """

    name: FaultName
    at: datetime | None
    moment: Moment | None
    machine_s: float

    @property
    def words(self) -> str:
        """As a person says it."""
        when = f"while {self.moment}" if self.at is None else f"at {self.at.astimezone(NEW_YORK):%H:%M:%S}"
        return f"{self.name} {when}" + (f" for {self.machine_s:g} s of the machine" if self.machine_s else "")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One day to be lived.

    Args:
        files: Folder of provider files, for the market `files`.
        slots: Decision times instead of those of the settings; empty: theirs.
        begins: The desk's instant at which the clock starts to run, UTC.
        prepared: Whether the morning is prepared beforehand, for a clock that starts too late for it.
        until: The desk's instant at which the day is over whatever is left; None: when every part of it has ended.
        symbols: How many of the simulated market are traded.
    """

    session: Session
    speed: float
    market: MarketName
    files: Path | None
    broker: BrokerChoice
    slots: tuple[str, ...]
    faults: tuple[Fault, ...]
    launcher: Launcher
    begins: datetime
    prepared: bool
    until: datetime | None
    seed: int = 7
    symbols: int = SYMBOLS

    @property
    def crash(self) -> Fault | None:
        """The flash crash of the day, if there is one."""
        return next((fault for fault in self.faults if fault.name == "flash-crash"), None)

    @property
    def premarket_from(self) -> str:
        """When the morning begins, New York: earlier than usual where the clock is so fast that it would last beyond the open."""
        opens = self.session.open.astimezone(NEW_YORK)
        usual = opens.replace(hour=8, minute=30)
        needed = opens - timedelta(seconds=ROOM_S * self.speed)
        midnight = opens.replace(hour=0, minute=10)
        return f"{max(midnight, min(usual, needed)):%H:%M}"

    def machine(self, length: timedelta) -> float:
        """A length of the desk's time in seconds of the machine."""
        return length.total_seconds() / self.speed


def checked_speed(speed: float) -> float:
    """The speed, or PermanentFailure with the bound."""
    if not 1 <= speed <= SPEED_MAX:
        raise PermanentFailure("a day cannot be rehearsed at this speed", value=speed, bound=f"1 to {SPEED_MAX:g}")
    return speed


def checked_symbols(symbols: int) -> int:
    """How many symbols are traded, or PermanentFailure with the bound."""
    if not 1 <= symbols <= SYMBOLS:
        raise PermanentFailure("a day cannot be rehearsed with so many symbols", value=symbols, bound=f"1 to {SYMBOLS}")
    return symbols


def fault_of(text: str, session: Session, speed: float) -> Fault:
    """`NAME@HH:MM[:SS]` or `NAME@submitting`, then `+120s`, `+30m` of the desk's time or `+5real` seconds of the machine.

    Raises:
        PermanentFailure: Another name, moment or length, or a moment outside the session.
    """
    name, at, rest = text.partition("@")
    if name not in FAULTS or not at:
        raise _refused(text, f"one of {', '.join(FAULTS)}, then @ and a moment")
    when, plus, long = rest.partition("+")
    moment = next((each for each in MOMENTS if each == when), None)
    length = _length(long, speed, text) if plus else _DEFAULT_S.get(name, 0.0) / (1 if name == "lock-ledger" else speed)
    instant = None if moment else _instant(when, session, text)
    known = next(each for each in FAULTS if each == name)
    if known == "flash-crash" and instant is None:
        raise _refused(text, "a time of the session")
    return Fault(known, instant, moment, length)


def instant_in(text: str, session: Session) -> datetime:
    """A New York time of the session's day as a UTC instant."""
    try:
        local = time.fromisoformat(text)
    except ValueError as wrong:
        raise PermanentFailure("not a time of day", value=text, bound="HH:MM or HH:MM:SS") from wrong
    return datetime.combine(session.day, local, NEW_YORK).astimezone(UTC)


def _instant(text: str, session: Session, whole: str) -> datetime:
    try:
        instant = instant_in(text, session)
    except PermanentFailure as wrong:
        raise _refused(whole, f"HH:MM:SS, or one of {', '.join(MOMENTS)}") from wrong
    if not session.open <= instant < session.close:
        local = (session.open.astimezone(NEW_YORK), session.close.astimezone(NEW_YORK))
        raise _refused(whole, f"within the session, {local[0]:%H:%M} to {local[1]:%H:%M}")
    return instant


def _length(text: str, speed: float, whole: str) -> float:
    found = _LONG.fullmatch(text)
    if found is None:
        raise _refused(whole, "a length such as 120s, 30m or 5real")
    number = float(found["number"])
    return number if found["unit"] == "real" else number * (60 if found["unit"] == "m" else 1) / speed


def _refused(text: str, bound: str) -> PermanentFailure:
    return PermanentFailure("no such fault can be rehearsed", value=text, bound=bound, hint=f"--fault {_EXAMPLE}")
