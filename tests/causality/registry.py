"""Every pure producer of the desk as one function of market facts and a span, and the assets that it stands for.

To register a producer, write `Producer(("asset_name",), (TABLES IT READS), make)` into `PRODUCERS`: `make(frames, span)`
returns a frame with `session` and `knowable_at` for every session of the span, from the facts in `frames` alone. An asset
that is not computed, or cannot be stated like this, goes into `EXCEPTIONS` with the reason and the test that holds it.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from resources.ledger.engine import open_ledger
from resources.ledger.store import SqlLedger
from tests.causality.world import FIRST, SLOTS, SYMBOLS, Frames
from tests.execution.world import opinions_on, rules, world_of
from tests.market.universe.worlds import written
from trading_assets.briefs.facts import FactBook
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import DataNotReady, GateClosed
from trading_assets.core.operations import OperationsSettings, Weekly
from trading_assets.core.ports import Span
from trading_assets.core.preferences import Preferences
from trading_assets.core.settings import PROJECT, Instrument, load_settings
from trading_assets.core.slots import Slot, slots_of
from trading_assets.core.tables import Table
from trading_assets.execution.cycle import decide_slot
from trading_assets.execution.looking import World
from trading_assets.execution.ports import LedgerSession
from trading_assets.execution.rules import Rules
from trading_assets.execution.tables import DECIDED
from trading_assets.features.breadth import breadth
from trading_assets.features.correlations import correlations
from trading_assets.features.indicators import indicator_panel
from trading_assets.features.intraday import intraday_features
from trading_assets.features.liquidity import liquidity
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS
from trading_assets.market.universe.membership import Facts as UniverseFacts
from trading_assets.market.universe.membership import memberships
from trading_assets.market.universe.model import REFERENCE_FACTS
from trading_assets.market.universe.pairs import cointegrated_pairs
from trading_assets.regimes.jump import second_opinions
from trading_assets.regimes.liquidity import liquidity_regimes
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.regimes.rules import regime_labels
from trading_assets.theses.model import OPINIONS
from trading_assets.watchlist.facts import Facts as WatchFacts
from trading_assets.watchlist.listing import watchlist
from trading_assets.watchlist.rules import load_rules
from trading_assets.weekly.model import WEEKLY_TABLES
from trading_assets.weekly.portfolio import Plan, weekly_portfolios
from trading_assets.weekly.results import weekly_results
from trading_assets.weekly.runs import outline_of, runs_in
from trading_assets.weekly.screen import past_of, weekly_screen

Make = Callable[[Frames, Span], pl.DataFrame]
DAILY = (DAILY_BARS, CORPORATE_ACTIONS)
_BEFORE_OPEN = timedelta(hours=1)
_BEFORE_FIRST = timedelta(days=21)
_WEEKLY_FIRST = date(2012, 10, 22)
_UNIVERSES = written(
    {
        "desk": {"base": "instruments", "rank_by": {"field": "price"}},
        "strong": {
            "base": "desk",
            "filters": [{"field": "momentum_12_1", "operator": "top_n", "value": 2}],
            "rank_by": {"field": "momentum_12_1"},
            "rebalance": "monthly",
        },
    },
    pairs={
        "loose": {
            "base": "desk",
            "look_back_sessions": 252,
            "p_value_max": 0.99,
            "correlation_min": -1.0,
            "half_life_sessions_max": 9999.0,
            "rebalance": "monthly",
        }
    },
)
_HELD: list[TemporaryDirectory[str]] = []


@dataclass(frozen=True, slots=True)
class Producer:
    """What stands behind one or several assets.

    Args:
        assets: Last parts of the asset keys.
        reads: The tables of facts that it may see.
        make: Rows of the span's sessions from those facts; nothing else may go in.
    """

    assets: tuple[str, ...]
    reads: tuple[Table, ...]
    make: Make

    @property
    def name(self) -> str:
        """The first asset's."""
        return self.assets[0]

    def rows(self, facts: Frames, span: Span) -> pl.DataFrame:
        """What it makes of the facts that it reads."""
        return self.make({table.name: facts[table.name] for table in self.reads}, span)


def _on_daily(make: Callable[..., pl.DataFrame]) -> Make:
    """A function of (bars, actions, span=…)."""
    return lambda facts, span: make(facts[DAILY_BARS.name], facts[CORPORATE_ACTIONS.name], span=span)


def _with_quotes(make: Callable[..., pl.DataFrame], bars: Table) -> Make:
    """A function of (bars, actions, quotes, span=…)."""
    return lambda facts, span: make(facts[bars.name], facts[CORPORATE_ACTIONS.name], facts[QUOTE_BARS.name], span=span)


def _breadth(facts: Frames, span: Span) -> pl.DataFrame:
    bars, actions = facts[DAILY_BARS.name], facts[CORPORATE_ACTIONS.name]
    return breadth(bars, actions, indicator_panel(bars, actions, span=span), span=span)


def _opinions(facts: Frames, span: Span) -> pl.DataFrame:
    bars, actions = facts[DAILY_BARS.name], facts[CORPORATE_ACTIONS.name]
    return second_opinions(bars, actions, regime_labels(bars, actions, span=span), span=span)


def _liquidity_regimes(facts: Frames, span: Span) -> pl.DataFrame:
    since_the_first = Span(FIRST, span.last)
    return liquidity_regimes(_with_quotes(liquidity, DAILY_BARS)(facts, since_the_first), span=span)


def _watchlist(facts: Frames, span: Span) -> pl.DataFrame:
    bars, actions = facts[DAILY_BARS.name], facts[CORPORATE_ACTIONS.name]
    panel, labels = (make(bars, actions, span=span) for make in (indicator_panel, regime_labels))
    few = load_rules(PROJECT / "config").model_copy(update={"paths": 200})
    return watchlist(bars, actions, panel, labels, few, span=span)


@cache
def _weekly_plan() -> Plan:
    """A weekly desk that works every day and sees few paths, so that each session has rows."""
    everyday = Weekly(run_days=("mon", "tue", "wed", "thu", "fri"), horizon_sessions=2, p_loss_max=0.6)
    outline = outline_of(OperationsSettings(weekly=everyday), load_settings(PROJECT / "config").decisions)
    few = load_rules(PROJECT / "config").model_copy(update={"paths": 200, "screen": ()})
    return Plan(everyday, few, Preferences(), outline)


def _weekly(facts: Frames, span: Span) -> pl.DataFrame:
    """All three tables. A portfolio depends on the one before it: the walk begins on the same day whatever the span is."""
    bars, actions, plan = facts[DAILY_BARS.name], facts[CORPORATE_ACTIONS.name], _weekly_plan()
    whole = Span(_WEEKLY_FIRST, span.last)
    panel, labels = (make(bars, actions, span=whole) for make in (indicator_panel, regime_labels))
    days = runs_in(plan.outline, whole)
    known = WatchFacts(bars, actions, panel, labels)
    past = past_of(known, last=span.last)
    screen = weekly_screen(known, past, plan.rules, days=days)
    portfolios = weekly_portfolios(screen, past, plan, days=days)
    results = weekly_results(portfolios, screen, bars, actions, plan.outline, days=days)
    rows = [row for frame in (screen, portfolios, results) for row in frame.rows(named=True)]
    inside = [row for row in rows if span.first <= row["session"] <= span.last]
    return _told(sorted(inside, key=lambda row: row["session"]))


def _universe(facts: Frames, span: Span) -> pl.DataFrame:
    return memberships(_UNIVERSES, _listed(facts), span=span, calendar=XNYS).frame


def _universe_pairs(facts: Frames, span: Span) -> pl.DataFrame:
    return cointegrated_pairs(_UNIVERSES, _listed(facts), span=span, calendar=XNYS).frame


def _listed(facts: Frames) -> UniverseFacts:
    """The made symbols as instruments of one sector, without facts of reference."""
    instruments = [Instrument(symbol=symbol, sector="Widgets") for symbol in SYMBOLS]
    return UniverseFacts(facts[DAILY_BARS.name], facts[CORPORATE_ACTIONS.name], REFERENCE_FACTS.empty(), instruments)


def _features(facts: Frames, span: Span) -> dict[str, pl.DataFrame]:
    """The facts that briefs and decisions are made from, for the span and three weeks before it."""
    wide = Span(span.first - _BEFORE_FIRST, span.last)
    inside = pl.col("session").is_between(wide.first, wide.last)
    return {
        **{table.name: facts[table.name].filter(inside) for table in DAILY},
        INDICATORS.name: _on_daily(indicator_panel)(facts, wide),
        BREADTH.name: _breadth(facts, wide),
        REGIME_LABELS.name: _on_daily(regime_labels)(facts, wide),
    }


def _said_before_the_open(facts: Frames, span: Span) -> pl.DataFrame:
    """All opinions as the premarket would write them, and as every slot would."""
    book = FactBook(_features(facts, span))
    rows: list[Mapping[str, Any]] = []
    for session in XNYS.sessions(span.first, span.last):
        for moment in (session.open - _BEFORE_OPEN, *(slot.at for slot in slots_of(session, SLOTS))):
            known = book.at(moment)
            if known.symbols:
                thought = opinions_on({session: known})
                rows += [row for table in OPINIONS for row in thought.rows[table.name]]
    return _told(rows)


def _decisions(facts: Frames, span: Span) -> pl.DataFrame:
    """What a new book decides at every slot: decision, theses, plans with their verdicts, intents and orders."""
    world = world_of(_features(facts, span))
    rows: list[Mapping[str, Any]] = []
    for session in XNYS.sessions(span.first, span.last):
        rows += _decided(session, world)
    return _told(rows)


def _decided(session: Session, world: World) -> list[Mapping[str, Any]]:
    with TemporaryDirectory(prefix="desk-tests-") as folder:
        file = Path(folder) / "backtest.sqlite"
        shutil.copy(_empty_ledger(), file)
        ledger = SqlLedger(open_ledger(file, durability="NORMAL"), "backtest")
        rows: list[Mapping[str, Any]] = []
        for slot in slots_of(session, SLOTS):
            with ledger.session() as transaction:
                said = _said(slot, world, transaction)
            rows.append({"session": session.day, "knowable_at": slot.at, "said": said})
        return rows


def _said(slot: Slot, world: World, ledger: LedgerSession) -> str:
    """Everything that a slot decided, or why it refused: with the future cut off, later slots have no facts."""
    try:
        return repr(decide_slot(slot, world, _rules(), ledger))
    except (DataNotReady, GateClosed) as refused:
        return repr(refused)


@cache
def _rules() -> Rules:
    """The project's own rules over the made symbols."""
    given = rules()
    instruments = tuple(Instrument(symbol=symbol, sector=f"Sector {symbol}") for symbol in SYMBOLS)
    market = given.settings.market.model_copy(update={"instruments": instruments})
    return replace(given, settings=given.settings.model_copy(update={"market": market}))


@cache
def _empty_ledger() -> Path:
    _HELD.append(TemporaryDirectory(prefix="desk-tests-"))
    file = Path(_HELD[-1].name) / "empty.sqlite"
    open_ledger(file, durability="NORMAL").dispose()
    return file


def _told(rows: list[Mapping[str, Any]]) -> pl.DataFrame:
    """Values of any type as text: equal bits of numbers are equal text, since repr is exact."""
    return pl.DataFrame(
        {
            "session": [row["session"] for row in rows],
            "knowable_at": [row["knowable_at"] for row in rows],
            "said": [repr(sorted(row.items())) for row in rows],
        },
        schema={"session": pl.Date(), "knowable_at": pl.Datetime("us", "UTC"), "said": pl.String()},
    )


PRODUCERS: tuple[Producer, ...] = (
    Producer(("indicators",), DAILY, _on_daily(indicator_panel)),
    Producer(("breadth",), DAILY, _breadth),
    Producer(
        ("intraday_features",),
        (INTRADAY_BARS, CORPORATE_ACTIONS, QUOTE_BARS),
        _with_quotes(intraday_features, INTRADAY_BARS),
    ),
    Producer(("liquidity",), (*DAILY, QUOTE_BARS), _with_quotes(liquidity, DAILY_BARS)),
    Producer(("correlations",), DAILY, _on_daily(correlations)),
    Producer(("regime_labels",), DAILY, _on_daily(regime_labels)),
    Producer(("regime_opinions",), DAILY, _opinions),
    Producer(("liquidity_regimes",), (*DAILY, QUOTE_BARS), _liquidity_regimes),
    Producer(("universe",), DAILY, _universe),
    Producer(("universe_pairs",), DAILY, _universe_pairs),
    Producer(("watchlist",), DAILY, _watchlist),
    Producer(tuple(table.name for table in WEEKLY_TABLES), DAILY, _weekly),
    Producer(tuple(table.name for table in OPINIONS), DAILY, _said_before_the_open),
    Producer(tuple(table.name for table in DECIDED), DAILY, _decisions),
)

_ENTERS = "a fact that enters; what a provider may say of a session stands in tests/resources and tests/market"
_TEXT = "a document that enters; when it was knowable stands in tests/market/documents"
_BOOKED = "what happened to a book in a session, settled on that session's own bars: tests/execution/test_lanes.py"
_JUDGED = "looks back at a finished range and feeds no decision: tests/evaluation and tests/resources/metrics"

EXCEPTIONS: Mapping[str, str] = {
    "weekly_report": _JUDGED,
    **dict.fromkeys(("daily_bars", "intraday_bars", "quote_bars", "corporate_actions", "cross_check_bars"), _ENTERS),
    **dict.fromkeys(("news", "filings", "macro_series"), _TEXT),
    **dict.fromkeys(("fills", "positions", "trades", "account", "lessons", "flatness"), _BOOKED),
    **dict.fromkeys(("daily_metrics", "regime_metrics", "strategy_metrics", "trade_metrics"), _JUDGED),
    **dict.fromkeys(("attribution", "attribution_daily", "execution_quality", "evidence_metrics"), _JUDGED),
    **dict.fromkeys(("attribution_shares", "slippage", "decision_evidence", "metric_intervals"), _JUDGED),
    **dict.fromkeys(("benchmark", "benchmarks", "coin_lives", "benchmark_notes", "improvement_report"), _JUDGED),
    "week_in_review": _JUDGED,
    **dict.fromkeys(("strategy_standings", "parameter_proposals", "parameter_study", "experiment_results"), _JUDGED),
    "reviews": "advises from what was known at its hour; tests/execution/test_adaptor.py",
}


def span_of_day(day: date) -> Span:
    """One session."""
    return Span(day, day)
