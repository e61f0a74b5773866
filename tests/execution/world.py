"""Real bars of the embedded provider with their features, in a lake, a gate book and ledgers on files of the test's own.

The facts of a range are made once per process; every test gets links to the immutable files and a ledger of its own.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from resources.lake import ParquetLake
from resources.ledger.engine import open_ledger
from resources.ledger.store import SqlGateBook, SqlLedger
from resources.market_data import provider_named
from trading_assets.briefs.facts import FACT_TABLES, FactBook, Facts
from trading_assets.briefs.settings import load_agents
from trading_assets.core.calendar import XNYS, Session, days_of
from trading_assets.core.ports import GateBook, GateRecord, Lake, Span
from trading_assets.core.preferences import load_preferences
from trading_assets.core.settings import PROJECT, load_settings
from trading_assets.core.slots import Slot, slots_of
from trading_assets.core.tables import Table
from trading_assets.execution.counsel import Counsel, Opinions
from trading_assets.execution.lanes import BacktestWalk, Lane, store_booked
from trading_assets.execution.looking import World
from trading_assets.execution.opinions import opinions_from
from trading_assets.execution.rules import Rules
from trading_assets.execution.tables import BOOKED, DECIDED
from trading_assets.features.breadth import breadth
from trading_assets.features.indicators import indicator_panel
from trading_assets.features.liquidity import liquidity
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.ingest import collect_actions, collect_bars
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, QUOTE_BARS
from trading_assets.reasoning.baseline import RulesReasoner
from trading_assets.reasoning.model import Budget
from trading_assets.regimes.liquidity import liquidity_regimes
from trading_assets.regimes.model import LIQUIDITY_REGIMES, REGIME_LABELS
from trading_assets.regimes.rules import regime_labels
from trading_assets.signatures.gates import FactGate
from trading_assets.theses.asking import Thought, ask_opinions
from trading_assets.theses.model import OPINIONS

EVER = datetime(2030, 1, 1, tzinfo=UTC)
BEFORE_OPEN = timedelta(hours=1)
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
YEAR = Span(date(2012, 1, 3), date(2012, 12, 31))
SPLIT_YEAR = Span(date(2005, 1, 3), date(2005, 6, 30))
_PAST = timedelta(days=4 * 366)
_WARM_UP = timedelta(days=30)
_HELD: list[TemporaryDirectory[str]] = []

Frames = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Market:
    """A range of the embedded market: a folder with lake and ledgers to link from, and the facts as frames."""

    span: Span
    folder: Path
    frames: Frames = field(repr=False)


def market(span: Span = YEAR) -> Market:
    """Facts for decisions in the span, gated as passed, with briefs for both lanes."""
    return _market(span)


@cache
def _market(span: Span) -> Market:
    _HELD.append(TemporaryDirectory(prefix="desk-tests-"))
    folder = Path(_HELD[-1].name)
    made = Span(span.first - _WARM_UP, span.last)
    frames = _facts(Span(span.first - _PAST, span.last), made)
    lake = ParquetLake(folder / "lake")
    for table in (*FACT_TABLES, LIQUIDITY_REGIMES):
        lake.write(table, frames[table.name], made)
    thought = said_before(FactBook(frames), sessions(span))
    for table in OPINIONS:
        for lane in ("desk", "backtest"):
            lake.write(table, table.frame(thought.rows[table.name]), span, lane=lane)
    judge(lake, SqlGateBook(open_ledger(folder / "desk.sqlite", durability="FULL")), made)
    open_ledger(folder / "backtest.sqlite", durability="NORMAL")
    return Market(span, folder, frames)


def _facts(past: Span, made: Span) -> Frames:
    provider = provider_named("embedded", files_path=None, as_of=EVER, cache=Path())
    bars = collect_bars(provider, SYMBOLS, "1d", past).frame
    actions = collect_actions(provider, SYMBOLS, past).frame
    indicators = indicator_panel(bars, actions, span=made)
    inside = pl.col("session").is_between(made.first, made.last)
    return {
        DAILY_BARS.name: bars.filter(inside),
        CORPORATE_ACTIONS.name: actions.filter(inside),
        INDICATORS.name: indicators,
        BREADTH.name: breadth(bars, actions, indicators, span=made),
        REGIME_LABELS.name: regime_labels(bars, actions, span=made),
        LIQUIDITY_REGIMES.name: _liquidity_regimes(bars, actions, past, made),
    }


def _liquidity_regimes(bars: pl.DataFrame, actions: pl.DataFrame, past: Span, made: Span) -> pl.DataFrame:
    measured = liquidity(bars, actions, QUOTE_BARS.empty(), span=Span(past.first, made.last))
    return liquidity_regimes(measured, span=made)


def judge(lake: Lake, gates: GateBook, span: Span, *, failures: Sequence[str] = ()) -> None:
    """Stores a verdict on every stored session of daily bars: passed, or refused with failures."""
    versions = lake.versions(DAILY_BARS, span)
    records = [
        GateRecord(DAILY_BARS.name, day, version, not failures, tuple(failures)) for day, version in versions.items()
    ]
    gates.record_gates(records, as_of=EVER)


def lane(home: Path, book: str = "backtest", *, of: Market | None = None) -> Lane:
    """A lane on files of its own in `home`, which further lanes of the same home share."""
    source = of or market()
    if not home.exists():
        shutil.copytree(source.folder / "lake", home / "lake", copy_function=os.link)
        for name in ("desk.sqlite", "backtest.sqlite"):
            copy_ledger(source.folder / name, home / name)
    gates = SqlGateBook(open_ledger(home / "desk.sqlite", durability="NORMAL"))
    ledger = SqlLedger(open_ledger(home / f"{book}.sqlite", durability="NORMAL"), book)
    return Lane(ParquetLake(home / "lake"), gates, ledger, rules(book), by_rules())


def by_rules() -> Counsel:
    """The agents' rules members, who cost nothing."""
    return Counsel(RulesReasoner(), lambda slot: nothing_to_spend(slot.session))


def nothing_to_spend(session: Session) -> Budget:
    """A budget without a pocket."""
    return Budget("backtest", session.key, session.day, ())


def said_before(facts: FactBook, over: Sequence[Session]) -> Thought:
    """What the rules members say an hour before each open."""
    return opinions_on({session: known for session in over if (known := facts.at(session.open - BEFORE_OPEN)).symbols})


def opinions_on(facts: Mapping[Session, Facts]) -> Thought:
    """What the rules members say of these facts."""
    return ask_opinions(
        RulesReasoner(),
        facts,
        nothing_to_spend,
        agents=rules().agents,
        strategies=rules().settings.decisions.strategies,
        skills=None,
    )


def rules(book: str = "backtest") -> Rules:
    """The project's own settings and limits."""
    preferences, limits_hash = load_preferences(PROJECT / "config" / "preferences.yaml")
    return Rules(book, load_settings(PROJECT / "config"), preferences, limits_hash, load_agents(PROJECT / "config"))


def with_cash(where: Lane, cash: float) -> Lane:
    """The lane with another starting cash."""
    settings = where.rules.settings
    paper = settings.paper.model_copy(update={"starting_cash_usd": cash})
    return replace(where, rules=replace(where.rules, settings=settings.model_copy(update={"paper": paper})))


def backtest(span: Span = YEAR) -> Lane:
    """A finished backtest of the span, for tests that only look."""
    return _backtest(span)


@cache
def _backtest(span: Span) -> Lane:
    return walked(lane(market(span).folder / "walked", of=market(span)), span)


def at_open(home: Path, day: date, *, span: Span = YEAR) -> SqlLedger:
    """A ledger of its own that holds the finished backtest up to, and without, a session."""
    home.mkdir(parents=True, exist_ok=True)
    backtest(span)
    file = home / f"{day}.sqlite"
    copy_ledger(market(span).folder / "walked" / "backtest.sqlite", file)
    ledger = SqlLedger(open_ledger(file, durability="NORMAL"), "backtest")
    with ledger.session() as session:
        session.rewind(day)
    return ledger


def copy_ledger(source: Path, target: Path) -> None:
    """Copies a ledger that is in use: part of it stands in its log, and only SQLite knows which."""
    with closing(sqlite3.connect(source)) as there, closing(sqlite3.connect(target)) as here:
        there.backup(here)


def new_ledger(home: Path, book: str = "backtest") -> SqlLedger:
    """An empty ledger."""
    return SqlLedger(open_ledger(home / f"new-{book}.sqlite", durability="NORMAL"), book)


def walked(where: Lane, span: Span, *, fresh: bool = True) -> Lane:
    """The lane after a backtest of the span, rows in the lake."""
    walk = BacktestWalk.begin(where, span, fresh=fresh)
    walk.walk()
    walk.store()
    store_booked(where, span)
    return where


def window(frames: Frames, day: date, *, before: int = 21, after: int = 10) -> Frames:
    """The facts of some days around a session."""
    first, last = day - timedelta(days=before), day + timedelta(days=after)
    return {name: frame.filter(pl.col("session").is_between(first, last)) for name, frame in frames.items()}


def world_of(frames: Frames, *, gate: FactGate | None = None) -> World:
    """The world that these facts make: briefs an hour before each open, and a gate that judged every session."""
    facts = FactBook(frames)
    days = sorted(set(frames[DAILY_BARS.name]["session"].to_list()))
    passed = {day: GateRecord(DAILY_BARS.name, day, "v", passed=True) for day in days}
    asked = {session.key: session for session in XNYS.sessions(days[0], XNYS.next(days[-1]).day)}
    counsel = replace(by_rules(), said=_SaidBefore(facts, asked))
    return World(facts, gate or FactGate(passed, dict.fromkeys(days, "v")), counsel)


class _SaidBefore(Mapping[str, Opinions]):
    """Opinions by session key, asked for when they are wanted: nobody is asked about a future that a test has spoilt."""

    def __init__(self, facts: FactBook, sessions: Mapping[str, Session]) -> None:
        self._facts = facts
        self._sessions = sessions

    def __getitem__(self, key: str) -> Opinions:
        thought = said_before(self._facts, [self._sessions[key]])
        return opinions_from(thought.rows)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sessions)

    def __len__(self) -> int:
        return len(self._sessions)


def decided(where: Lane, span: Span) -> dict[str, pl.DataFrame]:
    """What a lane's lake holds of its decisions in a span."""
    return _held(where, span, DECIDED)


def booked(where: Lane, span: Span) -> dict[str, pl.DataFrame]:
    """What a lane's lake holds of its book in a span."""
    return _held(where, span, BOOKED)


def _held(where: Lane, span: Span, tables: Sequence[Table]) -> dict[str, pl.DataFrame]:
    return {
        table.name: where.lake.read(table, as_of=EVER, lane=where.name, first=span.first, last=span.last)
        for table in tables
    }


def same(one: Frames, other: Frames) -> bool:
    """Whether two sets of tables hold the same rows."""
    return one.keys() == other.keys() and all(frame.equals(other[name]) for name, frame in one.items())


def sessions(span: Span) -> tuple[Session, ...]:
    """The sessions of a span."""
    return XNYS.sessions(span.first, span.last)


def days(span: Span) -> tuple[date, ...]:
    """The session days of a span."""
    return days_of(sessions(span))


def slot_of(day: date, label: str = "09:30") -> Slot:
    """A slot of a session."""
    return slots_of(XNYS.session(day), (label,))[0]
