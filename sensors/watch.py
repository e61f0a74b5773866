"""What is looked after while nothing is asked for: halts, the book against the broker, and facts before the open.

None of these sensors starts a run or lifts anything. What they find is told once, in the journal and on the bus.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import dagster as dg

from resources.desk import DESK, DeskResource
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.operations import Drift
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table

if TYPE_CHECKING:
    from resources.day.telling import Notice

_LOOK_BACK = 10


# Halts


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    tags={"desk/role": "watches"},
    description="While a halt is open it says so and sees that its page is raised; only the operator lifts it.",
)
def open_halts(desk: DeskResource) -> dg.SkipReason:
    """The shell around `halted`."""
    return dg.SkipReason(see_halts(desk))


def see_halts(desk: DeskResource) -> str:
    """Raises the page of each open halt that has none, tells of a halt file, and says what stands."""
    from resources.day.telling import Notice, tell
    from resources.ledger.dispatch import SqlDispatch
    from resources.ledger.halt_file import HaltFile
    from resources.notify.pages import LedgerPages

    engine, now = desk.engine(DESK), desk.clock().now()
    LedgerPages(engine, DESK).follow_halts(as_of=now)
    halts = [(halt.id, halt.cause) for halt in SqlDispatch(engine, DESK).halts()]
    noted = HaltFile(desk.home().root).read()
    if noted is not None:
        when = noted.at.isoformat() if noted.at else noted.cause
        sentence = f"the halt file says: {noted.cause}; desk resume answers it"
        day = now.astimezone(NEW_YORK).date()
        notice = Notice(f"halt file/{when}"[:200], day, "critical", "halt file", sentence)
        tell(engine, DESK, [notice], as_of=now, files=desk.journal_files(DESK))
    return halted(halts, noted.cause if noted else "")


def halted(halts: Sequence[tuple[int, str]], noted: str) -> str:
    """What stands in the way of opening anything, or that nothing does."""
    told = [f"halt {number}: {cause}" for number, cause in halts]
    told += [f"the halt file says: {noted}"] if noted else []
    return f"nothing is opened; {'; '.join(told)}; only the operator lifts it" if told else "no halt is open"


# The book against the broker


@dataclass(frozen=True, slots=True)
class Apart:
    """A symbol whose shares differ, and since when."""

    symbol: str
    book: Decimal
    broker: Decimal
    since: datetime


def drifting(
    book: Mapping[str, Decimal], broker: Mapping[str, Decimal], before: Sequence[Apart], drift: Drift, *, at: datetime
) -> tuple[Apart, ...]:
    """Symbols that differ by more than the bound at `at`; a difference that stays the same keeps its beginning."""
    since = {(one.symbol, one.book - one.broker): one.since for one in before}
    found = []
    for symbol in sorted({*book, *broker}):
        mine, theirs = book.get(symbol, Decimal(0)), broker.get(symbol, Decimal(0))
        apart = mine - theirs
        if not apart.is_finite() or abs(apart) > drift.shares:
            found.append(Apart(symbol, mine, theirs, since.get((symbol, apart), at)))
    return tuple(found)


def lasting(apart: Sequence[Apart], drift: Drift, *, at: datetime) -> tuple[Apart, ...]:
    """Differences that have lasted long enough to be told."""
    return tuple(one for one in apart if at - one.since >= timedelta(minutes=drift.minutes))


@dg.sensor(
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.STOPPED,
    tags={"desk/role": "watches"},
    description="Compares the book with the broker's newest snapshot and tells of a difference that lasts.",
)
def position_drift(context: dg.SensorEvaluationContext, desk: DeskResource) -> dg.SensorResult | dg.SkipReason:
    """The shell around `drifting`; its cursor keeps since when a difference is there."""
    if not desk.execution().dispatches:
        return dg.SkipReason("broker bars: the book is the only record, there is nothing to compare it with")
    cursor, why = see_drift(desk, context.cursor or "[]")
    return dg.SensorResult(skip_reason=why, cursor=cursor)


def see_drift(desk: DeskResource, cursor: str) -> tuple[str, str]:
    """One comparison; the next cursor, and a sentence on what was found."""
    from resources.day.telling import tell
    from resources.ledger.dispatch import SqlDispatch

    store, drift = SqlDispatch(desk.engine(DESK), DESK), desk.operations().drift
    snapshot = store.snapshot()
    if snapshot is None:
        return cursor, "the broker has told nothing yet"
    known = store.known()
    book = {symbol: known.position(symbol) for symbol in known.symbols}
    broker: dict[str, Decimal] = {}
    for held in snapshot.positions:
        broker[held.symbol] = broker.get(held.symbol, Decimal(0)) + held.quantity
    apart = drifting(book, broker, _kept(cursor), drift, at=snapshot.at)
    told = lasting(apart, drift, at=snapshot.at)
    now = desk.clock().now()
    tell(desk.engine(DESK), DESK, [_drifted(one) for one in told], as_of=now, files=desk.journal_files(DESK))
    said = "; ".join(f"{one.symbol}: book {one.book}, broker {one.broker}" for one in apart)
    return _keeping(apart), said or f"book and broker agree, {snapshot.at.astimezone(NEW_YORK):%H:%M:%S} New York"


def _drifted(one: Apart) -> "Notice":
    from resources.day.telling import Notice

    sentence = f"{one.symbol}: the book holds {one.book}, the broker {one.broker}, since {one.since.isoformat()}"
    occasion = f"drift/{one.symbol}/{one.book - one.broker}/{one.since.isoformat()}"
    day = one.since.astimezone(NEW_YORK).date()
    return Notice(occasion, day, "critical", "position drift", sentence, one.symbol)


def _kept(cursor: str) -> list[Apart]:
    rows = json.loads(cursor)
    return [Apart(row[0], Decimal(row[1]), Decimal(row[2]), datetime.fromisoformat(row[3])) for row in rows]


def _keeping(apart: Sequence[Apart]) -> str:
    return json.dumps([[one.symbol, str(one.book), str(one.broker), one.since.isoformat()] for one in apart])


# Facts before the open


@dataclass(frozen=True, slots=True)
class Stale:
    """A table that the morning needs and whose newest session is older than it must be."""

    table: str
    newest: date | None
    needed: date

    @property
    def sentence(self) -> str:
        """For a person."""
        newest = f"end with {self.newest}" if self.newest else "are not there"
        return f"{self.table} {newest}, needed is {self.needed}"


def stale_before_open(
    session: Session, newest: Mapping[str, date | None], needed: Mapping[str, date]
) -> tuple[Stale, ...]:
    """What is older than the session's slots need, by table."""
    return tuple(
        Stale(name, newest.get(name), day)
        for name, day in sorted(needed.items())
        if (found := newest.get(name)) is None or not day <= found <= session.day
    )


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    tags={"desk/role": "watches"},
    description="Before the open: whether bars, features, regimes and opinions are of the session that today's slots need.",
)
def fresh_facts(desk: DeskResource) -> dg.SkipReason:
    """The shell around `stale_before_open`."""
    return dg.SkipReason(see_freshness(desk))


def see_freshness(desk: DeskResource) -> str:
    """Says what is stale; from one premarket interval before the open on, it is also told."""
    from resources.day.telling import Notice, tell

    now, day = desk.clock().now(), desk.operations().day
    session = XNYS.today(now)
    if session is None:
        return f"{now.astimezone(NEW_YORK):%Y-%m-%d} is not a session"
    if now >= session.close:
        return f"the session of {session.day} is over"
    needed = _needed(session)
    stale = stale_before_open(session, {table.name: _newest(desk, table, lane, session) for table, lane, _ in needed},
                              {table.name: wanted for table, _, wanted in needed})  # fmt: skip
    sentence = "; ".join(one.sentence for one in stale)
    if stale and now >= session.open - timedelta(minutes=day.premarket_every_minutes):
        notice = Notice(
            f"stale/{session.key}",
            session.day,
            "critical",
            "stale facts",
            f"before the open of {session.day}: {sentence}; its slots will refuse what they cannot trust",
        )
        tell(desk.engine(DESK), DESK, [notice], as_of=now, files=desk.journal_files(DESK))
    return sentence or f"the facts for {session.day} are fresh"


def _needed(session: Session) -> list[tuple[Table, str, date]]:
    """Facts of the session before, opinions of the session itself."""
    from trading_assets.core.tables import FACTS
    from trading_assets.features.model import INDICATORS
    from trading_assets.market.model import DAILY_BARS
    from trading_assets.regimes.model import REGIME_LABELS
    from trading_assets.theses.model import STANCES

    before = XNYS.previous(session.day).day
    facts = [(table, FACTS, before) for table in (DAILY_BARS, INDICATORS, REGIME_LABELS)]
    return [*facts, (STANCES, DESK, session.day)]


def _newest(desk: DeskResource, table: Table, lane: str, session: Session) -> date | None:
    span = Span(XNYS.previous(session.day, _LOOK_BACK).day, session.day)
    return max(desk.lake().versions(table, span, lane=lane), default=None)
