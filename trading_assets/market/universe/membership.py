"""Who belongs to which universe in which session, from what was knowable at the close of the rebalancing session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from trading_assets.core.calendar import Calendar, days_of
from trading_assets.core.ports import Lake, Span
from trading_assets.core.settings import Instrument
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.market.universe.config import INSTRUMENTS, Universe, Universes
from trading_assets.market.universe.fields import LOOK_BACK_SESSIONS, Panel
from trading_assets.market.universe.listings import check_lives, instrument_of, is_alive
from trading_assets.market.universe.lists import OutsideHistory, members
from trading_assets.market.universe.model import REFERENCE_FACTS, UNIVERSE, Refusal, UniverseRefused
from trading_assets.market.universe.periods import rebalanced_on
from trading_assets.market.universe.select import Member, Selected, Stopped, select


@dataclass(frozen=True)
class Facts:
    """What memberships are computed from: rows of the lake, and the instruments of the settings."""

    bars: pl.DataFrame
    actions: pl.DataFrame
    reference: pl.DataFrame
    instruments: Sequence[Instrument]

    @property
    def sectors(self) -> Mapping[str, str]:
        """Symbol to sector."""
        return {instrument.symbol: instrument.sector for instrument in self.instruments}


@dataclass(frozen=True)
class Snapshot:
    """Members of all universes in some sessions (rows of UNIVERSE), and why a universe has none in a session."""

    frame: pl.DataFrame
    refusals: tuple[Refusal, ...]


def read_facts(lake: Lake, instruments: Sequence[Instrument], *, first: date, session: date, as_of: datetime) -> Facts:
    """The facts from `first` to `session` that were knowable at `as_of`."""
    bars, actions, reference = (
        lake.read(table, as_of=as_of, first=first, last=session)
        for table in (DAILY_BARS, CORPORATE_ACTIONS, REFERENCE_FACTS)
    )
    return Facts(bars, actions, reference, instruments)


def memberships(config: Universes, facts: Facts, *, span: Span, calendar: Calendar) -> Snapshot:
    """The members of every universe in every session of the span.

    Rows after a session, and instruments or lives that begin after it, do not change its members.

    Args:
        config: The universes.
        facts: Bars and splits from the session `facts_needed_from` on, or earlier, to the end of the span.
        span: The sessions.
        calendar: The exchange's.

    Raises:
        ConfigurationError: Two instruments own one ticker at once.
    """
    check_lives(facts.instruments)
    sessions = days_of(calendar.sessions(span.first, span.last))
    walk = _Walk(config, facts, calendar, _looked_at(config, sessions, calendar))
    rows, refusals = [], []
    for name in sorted(config.universes):
        for session in sessions:
            answer = walk.at(name, session)
            if isinstance(answer, Refusal):
                refusals.append(answer)
            else:
                rows.extend(answer.rows(name, session, calendar))
    return Snapshot(UNIVERSE.frame(rows), tuple(refusals))


def members_at(
    config: Universes, facts: Facts, name: str, sessions: Sequence[date], *, calendar: Calendar
) -> Mapping[date, tuple[str, ...] | Refusal]:
    """The members of one universe in some sessions, best rank first, or why there are none."""
    check_lives(facts.instruments)
    walk = _Walk(config, facts, calendar, _looked_at(config, sessions, calendar))
    answers = {session: walk.at(name, session) for session in sessions}
    return {
        session: answer if isinstance(answer, Refusal) else tuple(member.symbol for member in answer.members)
        for session, answer in answers.items()
    }


def facts_needed_from(config: Universes, span: Span, calendar: Calendar) -> date:
    """The first session whose bars memberships of the span look at."""
    earliest = min(_looked_at(config, (span.first,), calendar))
    place = calendar.days.index(earliest)
    return calendar.days[max(place - LOOK_BACK_SESSIONS, 0)]


def members_of(frame: pl.DataFrame, universe: str, session: date) -> tuple[str, ...]:
    """The symbols of a universe in a session, best rank first.

    Args:
        frame: Rows of UNIVERSE, read with the `as_of` of whoever asks.

    Raises:
        UniverseRefused: There is none: it was refused, or never computed.
    """
    found = frame.filter((pl.col("universe") == universe) & (pl.col("session") == session)).sort("rank")
    if found.is_empty():
        raise UniverseRefused(
            f"universe {universe} has no members on {session}",
            hint=f"materialize the asset universe for {session} and read what it says, or choose another universe",
        )
    return tuple(found["symbol"].to_list())


@dataclass(frozen=True, slots=True)
class _Members:
    members: tuple[Member, ...]
    reason: str
    rebalanced_on: date

    def rows(self, universe: str, session: date, calendar: Calendar) -> list[dict[str, object]]:
        close = calendar.session(session).close
        return [
            {
                "universe": universe,
                "symbol": member.symbol,
                "session": session,
                "rank": member.rank,
                "score": member.score,
                "rebalanced_on": self.rebalanced_on,
                "reason": self.reason,
                "knowable_at": close,
            }
            for member in self.members
        ]


class _Walk:
    """Answers for one set of facts, each computed once."""

    def __init__(self, config: Universes, facts: Facts, calendar: Calendar, sessions: Sequence[date]) -> None:
        self._config, self._facts, self._calendar = config, facts, calendar
        self._lives = {instrument.symbol: instrument for instrument in facts.instruments}
        self._panel = Panel(
            facts.bars,
            facts.actions,
            facts.reference,
            sectors=facts.sectors,
            sessions=sessions,
            calendar=calendar,
        )
        self._computed: dict[tuple[str, date], _Members | Stopped] = {}

    def at(self, name: str, session: date) -> _Members | Refusal:
        """The members of a session: those of its rebalancing session whose lives have not ended since."""
        universe = self._config.universes[name]
        begun = rebalanced_on(session, universe.rebalance, self._calendar)
        answer = self._rebalanced(name, universe, begun)
        if isinstance(answer, Stopped):
            return Refusal(name, session, begun, answer.what, answer.steps)
        carried = tuple(member for member in answer.members if self._lives_on(member.symbol, session))
        if len(carried) < universe.min_securities:
            what = f"{len(carried)} of {len(answer.members)} carried members live on, min_securities is {universe.min_securities}"
            return Refusal(name, session, begun, what)
        return _Members(carried, answer.reason, begun)

    def _rebalanced(self, name: str, universe: Universe, session: date) -> _Members | Stopped:
        key = (name, session)
        if key not in self._computed:
            self._computed[key] = self._compute(universe, session)
        return self._computed[key]

    def _compute(self, universe: Universe, session: date) -> _Members | Stopped:
        base = self._base(universe, session)
        if isinstance(base, Stopped):
            return base
        answer = select(universe, base, lambda field: self._panel.values(field, session))
        if isinstance(answer, Stopped):
            return answer
        return _Members(answer.members, _reason(answer), session)

    def _base(self, universe: Universe, session: date) -> Sequence[str] | Stopped:
        if universe.base == INSTRUMENTS:
            return [each.symbol for each in self._facts.instruments if is_alive(each, session)]
        if universe.base in self._config.universes:
            below = self.at(universe.base, session)
            if isinstance(below, Refusal):
                return Stopped(f"its base {universe.base} has no members: {below.what}", below.steps)
            return [member.symbol for member in below.members]
        return self._listed(universe, session)

    def _listed(self, universe: Universe, session: date) -> Sequence[str] | Stopped:
        try:
            tickers = members(universe.base, session, carried_sessions_max=universe.base_carried_sessions_max)
        except OutsideHistory as outside:
            return Stopped(str(outside), ())
        named = {self._config.aliases.get(ticker, ticker) for ticker in tickers}
        return [instrument_of(ticker, session, self._facts.instruments) for ticker in sorted(named)]

    def _lives_on(self, symbol: str, session: date) -> bool:
        return symbol not in self._lives or is_alive(self._lives[symbol], session)


def _reason(answer: Selected) -> str:
    return "; ".join(str(step) for step in answer.steps)


def _looked_at(config: Universes, sessions: Sequence[date], calendar: Calendar) -> list[date]:
    """The sessions whose closes decide about some sessions, through all bases."""
    found: set[date] = set()
    for universe in config.universes.values():
        dates = {rebalanced_on(session, universe.rebalance, calendar) for session in sessions}
        found |= dates
        below = universe.base
        while below in config.universes:
            dates = {rebalanced_on(each, config.universes[below].rebalance, calendar) for each in dates}
            found |= dates
            below = config.universes[below].base
    return sorted(found)
