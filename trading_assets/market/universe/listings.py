"""Instruments and their life spans: which company traded under a ticker in which sessions.

An instrument is identified by its symbol. The present owner of a ticker keeps the ticker as its symbol; an earlier owner is named
TICKER-YYYYMMDD after its last session and says which ticker it traded under. Bars are stored under the symbol, so no computation
can mix two companies that shared a ticker.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Protocol

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.core.ports import Span

_ENDED = re.compile(r"-(\d{8})$")


class Listed(Protocol):
    """A symbol, the ticker that providers know it by, and its first and last session; None is an open end."""

    @property
    def symbol(self) -> str:
        """The name in the lake."""
        ...

    @property
    def traded_as(self) -> str:
        """The ticker that providers know."""
        ...

    @property
    def first_session(self) -> date | None:
        """The first session of its life."""
        ...

    @property
    def last_session(self) -> date | None:
        """The last session of its life."""
        ...


@dataclass(frozen=True, slots=True)
class PlainSymbol:
    """A symbol that is its own ticker and whose life has open ends."""

    symbol: str
    first_session: date | None = None
    last_session: date | None = None

    @property
    def traded_as(self) -> str:
        """The symbol itself."""
        return self.symbol


def listed(symbols: Sequence[str], instruments: Sequence[Listed]) -> tuple[Listed, ...]:
    """For each symbol its instrument, or a plain symbol where the settings do not know it."""
    known: Mapping[str, Listed] = {instrument.symbol: instrument for instrument in instruments}
    return tuple(known.get(symbol) or PlainSymbol(symbol) for symbol in symbols)


def is_alive(instrument: Listed, session: date) -> bool:
    """Whether the session lies in the instrument's life."""
    return _first(instrument) <= session <= _last(instrument)


def is_ended_owner(instrument: Listed) -> bool:
    """Whether the instrument is named after the end of its life: its ticker may belong to another company by now."""
    return _ENDED.search(instrument.symbol) is not None


def life_within(instrument: Listed, span: Span) -> Span | None:
    """The part of the span in which the instrument lived; None when it did not."""
    first, last = max(span.first, _first(instrument)), min(span.last, _last(instrument))
    return Span(first, last) if first <= last else None


def outside_life(instrument: Listed, span: Span) -> str:
    """Why there is nothing to ask for: the life ended before the span or begins after it."""
    name = _described(instrument)
    if _last(instrument) < span.first:
        return f"the life of {name} ended on {instrument.last_session}, before {span.first}"
    return f"the life of {name} begins on {instrument.first_session}, after {span.last}"


def instrument_of(ticker: str, session: date, instruments: Sequence[Listed]) -> str:
    """The symbol of the instrument that traded under the ticker in the session; the ticker itself where the settings know none."""
    owner = next((each for each in instruments if each.traded_as == ticker and is_alive(each, session)), None)
    return owner.symbol if owner else ticker


def check_lives(instruments: Sequence[Listed]) -> None:
    """Refuses lives that cannot be: two owners of a ticker at once, names that do not say what the life says.

    Raises:
        ConfigurationError: It names the instruments and the rule.
    """
    for instrument in instruments:
        _refuse_closed_days(instrument)
        _refuse_wrong_name(instrument)
    by_ticker: dict[str, list[Listed]] = {}
    for instrument in instruments:
        by_ticker.setdefault(instrument.traded_as, []).append(instrument)
    for ticker, owners in sorted(by_ticker.items()):
        _refuse_two_owners(ticker, sorted(owners, key=lambda owner: (_first(owner), _last(owner), owner.symbol)))


def refuse_twice(instruments: Sequence[Listed]) -> None:
    """Refuses one symbol with two different lives.

    Raises:
        PermanentFailure: It names the symbol and both lives.
    """
    seen: dict[str, Listed] = {}
    for instrument in instruments:
        other = seen.setdefault(instrument.symbol, instrument)
        if _described(other) != _described(instrument):
            raise PermanentFailure(
                "a symbol was asked for with two lives", value=f"{_described(other)}; {_described(instrument)}"
            )


def _refuse_two_owners(ticker: str, owners: Sequence[Listed]) -> None:
    for earlier, later in pairwise(owners):
        if _last(earlier) >= _first(later):
            raise ConfigurationError(
                f"two instruments trade as {ticker} at once",
                value=f"{_described(earlier)}; {_described(later)}",
                bound="the lives of one ticker do not overlap",
                hint="give the earlier owner a last_session and the later one a first_session in config/settings.yaml",
            )
        name = f"{ticker}-{_last(earlier):%Y%m%d}"
        if earlier.symbol != name:
            raise ConfigurationError(
                f"{ticker} has a later owner, so the earlier one is named after the end of its life",
                value=_described(earlier),
                hint=f"symbol: {name}, ticker: {ticker}",
            )


def _refuse_wrong_name(instrument: Listed) -> None:
    ended = _ENDED.search(instrument.symbol)
    if ended is None:
        return
    named = instrument.symbol[: ended.start()]
    last = instrument.last_session
    if instrument.traded_as != named or last is None or f"{last:%Y%m%d}" != ended[1]:
        raise ConfigurationError(
            "an instrument named after the end of its life must say the same ticker and the same end",
            value=_described(instrument),
            bound=f"ticker {named}, last_session {ended[1]}",
        )


def _refuse_closed_days(instrument: Listed) -> None:
    for end in (instrument.first_session, instrument.last_session):
        if end is not None and not XNYS.is_session(end):
            near = XNYS.days[bisect_left(XNYS.days, end) - 1]
            raise ConfigurationError(
                "a life begins and ends on sessions of the exchange",
                value=_described(instrument),
                hint=f"{end} is none; the session before it is {near}",
            )


def _described(instrument: Listed) -> str:
    ends = f"{instrument.first_session or 'the beginning'} to {instrument.last_session or 'now'}"
    ticker = "" if instrument.traded_as == instrument.symbol else f", traded as {instrument.traded_as}"
    return f"{instrument.symbol} ({ends}{ticker})"


def _first(instrument: Listed) -> date:
    return instrument.first_session or date.min


def _last(instrument: Listed) -> date:
    return instrument.last_session or date.max
