"""One circuit breaker for each route to a model, shared by all processes through the ledger.

Closed breakers are only read. Whoever finds a cool-down over takes the one trial in a writing transaction, so it is one over all
processes. Instants only ever move an opening later: a clock that steps back cannot open the gate early.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.engine import reading, transaction
from resources.ledger.text import instant_of, instant_text, words
from trading_assets.reasoning.ports import BreakerPolicy, Gate

State = Literal["closed", "open", "half_open"]
# A server that asks for more than a day is taken to mean a day.
AT_LEAST_MAX = timedelta(days=1)
_COLUMNS = t.BREAKERS.c
_ROW = sa.select(t.BREAKERS).where(_COLUMNS.route == sa.bindparam("route"))
_NEVER = ""


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A breaker as it stands. `until` is when the next trial may begin, None while it is closed."""

    route: str
    state: State
    failures: int
    until: datetime | None
    reason: str
    at: datetime


class SqlBreakers:
    """The Breakers port on a ledger."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def acquire(self, route: str, policy: BreakerPolicy, *, as_of: datetime) -> Gate:
        """See the port."""
        now = instant_text(as_of)
        with reading(self._engine) as connection:
            seen = _gate(_row(connection, route), now)
        if seen != "trial":
            return seen
        with transaction(self._engine) as connection:
            gate = _gate(_row(connection, route), now)
            if gate == "trial":
                trial = {"state": "half_open", "trial_until": instant_text(as_of + policy.trial_lease), "at": now}
                connection.execute(_update(route).values(trial))
        return gate

    def succeeded(self, route: str, *, as_of: datetime) -> None:
        """Closes a breaker whose trial succeeded and forgets the failures of a closed one.

        An open breaker stays open: nobody was let through, so the success is of a call that began before it opened.
        """
        with reading(self._engine) as connection:
            if _settled(_row(connection, route)):
                return
        with transaction(self._engine) as connection:
            if not _settled(_row(connection, route)):
                closed = {"state": "closed", "failures": 0, "cooldown_s": 0.0, "open_until": _NEVER, "reason": ""}
                connection.execute(_update(route).values({**closed, "trial_until": _NEVER, "at": instant_text(as_of)}))

    def failed(
        self,
        route: str,
        policy: BreakerPolicy,
        reason: str,
        *,
        as_of: datetime,
        at_least: timedelta = timedelta(0),
        open_now: bool = False,
    ) -> None:
        """See the port.

        `at_least` of every failure since the last success is honoured once the breaker opens. Failures of calls that began before
        it opened are counted, and do not double its cool-down.
        """
        wait = min(max(at_least, timedelta(0)), AT_LEAST_MAX)
        with transaction(self._engine) as connection:
            row = _row(connection, route)
            failures = 1 if row is None else row.failures + 1
            before: State = "closed" if row is None else row.state
            opens = before != "closed" or open_now or failures >= policy.failures_max
            cooldown = _cooldown(before, 0.0 if row is None else row.cooldown_s, policy) if opens else 0.0
            until = _NEVER if row is None else row.open_until
            if opens or wait:
                until = max(until, instant_text(as_of + max(wait, timedelta(seconds=cooldown))))
            values = {
                "state": "open" if opens else "closed",
                "failures": failures,
                "cooldown_s": cooldown,
                "open_until": until,
                "trial_until": _NEVER,
                "reason": words(reason),
                "at": instant_text(as_of),
            }
            insert = t.BREAKERS.insert().values({"route": route, **values})
            connection.execute(insert if row is None else _update(route).values(values))

    def give_back(self, route: str, *, as_of: datetime) -> None:
        """For who got the trial and then asked nothing (no money left): the next caller may have it at once."""
        with transaction(self._engine) as connection:
            mine = _update(route).where(_COLUMNS.state == "half_open")
            connection.execute(mine.values(state="open", trial_until=_NEVER, at=instant_text(as_of)))

    def states(self) -> list[BreakerState]:
        """Every breaker that ever counted a failure, by route."""
        with reading(self._engine) as connection:
            return [_told(row) for row in connection.execute(sa.select(t.BREAKERS).order_by(_COLUMNS.route))]


def _row(connection: sa.Connection, route: str) -> Any:
    return connection.execute(_ROW, {"route": route}).first()


def _update(route: str) -> sa.Update:
    return t.BREAKERS.update().where(_COLUMNS.route == route)


def _gate(row: Any, now: str) -> Gate:
    if row is None or row.state == "closed":
        return "pass"
    return "trial" if now >= max(row.open_until, row.trial_until) else "open"


def _settled(row: Any) -> bool:
    """Whether a success has nothing to change."""
    return row is None or row.state == "open" or (row.state == "closed" and row.failures == 0)


def _cooldown(before: State, had_s: float, policy: BreakerPolicy) -> float:
    """Seconds: the policy's at first, doubled by a failed trial, unchanged by a failure that comes after the opening."""
    first, most = policy.cooldown.total_seconds(), policy.cooldown_max.total_seconds()
    wanted = {"closed": first, "half_open": max(first, 2 * had_s), "open": max(first, had_s)}[before]
    return min(most, wanted)


def _told(row: Any) -> BreakerState:
    until = max(row.open_until, row.trial_until)
    waits = row.state != "closed" and until
    return BreakerState(
        row.route, row.state, row.failures, instant_of(until) if waits else None, row.reason, instant_of(row.at)
    )
