"""Static lists of securities with their history: who was a member in a session, and never who is one now.

The CSV files stand in `trading_assets/market/lists/`; `catalog.yaml` there says for which sessions each is known. A list is not
stretched beyond them: today's members in a past session would be survivorship bias.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.core.strict_yaml import Strict, load_model

FOLDER = Path(__file__).parents[1] / "lists"


class OutsideHistory(PermanentFailure):
    """Nobody wrote down who was a member of the list in that session."""


class StaticList(Strict):
    """What is known of a list.

    A history has members that come and go; a definition names funds or pairs and holds from its first session on; a snapshot was
    taken once.
    """

    kind: Literal["history", "definition", "snapshot"]
    first_session: date
    known_through: date | None


class Catalog(Strict):
    """All static lists by name."""

    lists: Mapping[str, StaticList]


@dataclass(frozen=True, slots=True)
class Interval:
    """Consecutive sessions in which a ticker was a member; `last_session` is None while it still is."""

    ticker: str
    first_session: date
    last_session: date | None

    def holds(self, session: date) -> bool:
        """Whether the ticker was a member in the session."""
        return self.first_session <= session and (self.last_session is None or session <= self.last_session)


def members(list_name: str, session: date, *, carried_sessions_max: int = 0) -> tuple[str, ...]:
    """The tickers of a static list in a session, sorted.

    Args:
        list_name: A name of the catalogue.
        session: A session of the exchange.
        carried_sessions_max: For how many sessions after the last known one its members may stand in.

    Raises:
        ConfigurationError: There is no such list.
        NotASession: The exchange is closed on that day.
        OutsideHistory: The session lies before or after what is known of the list.
    """
    known = static_list(list_name)
    XNYS.session(session)
    if session < known.first_session:
        raise _outside(list_name, known, session)
    through = known.known_through
    if through is None or session <= through:
        return _at(list_name, session)
    if _sessions_between(through, session) > carried_sessions_max:
        raise _outside(list_name, known, session)
    return _at(list_name, through)


def intervals(list_name: str) -> tuple[Interval, ...]:
    """All memberships of a list, ended ones included, sorted by ticker and first session."""
    static_list(list_name)
    return _intervals(list_name)


def static_list(list_name: str) -> StaticList:
    """What is known of a list.

    Raises:
        ConfigurationError: There is no such list.
    """
    known = catalog()
    if list_name not in known:
        raise ConfigurationError("there is no such static list", value=list_name, bound=", ".join(sorted(known)))
    return known[list_name]


@lru_cache(maxsize=1)
def catalog() -> Mapping[str, StaticList]:
    """All static lists by name."""
    return load_model(FOLDER / "catalog.yaml", Catalog).lists


@lru_cache(maxsize=16_384)
def _at(list_name: str, session: date) -> tuple[str, ...]:
    return tuple(sorted({interval.ticker for interval in _intervals(list_name) if interval.holds(session)}))


@lru_cache(maxsize=32)
def _intervals(list_name: str) -> tuple[Interval, ...]:
    with (FOLDER / f"{list_name}.csv").open(newline="") as file:
        rows: Sequence[Mapping[str, str]] = list(csv.DictReader(file))
    return tuple(Interval(row["ticker"], _day(row["first_session"]), _end(row["last_session"])) for row in rows)


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _end(text: str) -> date | None:
    return _day(text) if text else None


def _sessions_between(after: date, upto: date) -> int:
    return len(XNYS.sessions(after, upto)) - 1


def _outside(list_name: str, known: StaticList, session: date) -> OutsideHistory:
    return OutsideHistory(
        f"the members of {list_name} on {session} are not known",
        value=session,
        bound=f"{known.first_session} to {known.known_through or 'now'}",
        hint=f"choose a later base, add what is missing to trading_assets/market/lists/{list_name}.csv and catalog.yaml, "
        "or let a universe carry the last known members with base_carried_sessions_max",
    )
