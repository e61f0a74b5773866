"""The backtest job's work as plain function calls, without Dagster: the yardstick of `bench.backtest`."""

import time
from decimal import Decimal
from pathlib import Path

from resources.desk import BACKTEST, DESK, DeskResource
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.ports import GateRecord, Span
from trading_assets.core.settings import PROJECT, config_folder
from trading_assets.market.model import CORPORATE_ACTIONS, CROSS_CHECK_BARS, DAILY_BARS
from trading_assets.reasoning.model import Budget


def run(span: Span) -> dict[str, float]:
    """Everything from bars to the report over the span, on DESK_HOME; seconds by stage."""
    desk, seconds = DeskResource(), {}
    for stage in (_market, _documents, _features, _regimes, _universes, _opinions, _walk, _evaluate, _report):
        begun = time.perf_counter()
        stage(desk, span)
        seconds[f"plain{stage.__name__}_s"] = round(time.perf_counter() - begun, 2)
    return seconds


def _market(desk: DeskResource, span: Span) -> None:
    from trading_assets.market.ingest import collect_actions, collect_bars
    from trading_assets.market.quality import judge_daily

    provider, lake, symbols = desk.market_data("embedded"), desk.lake(), list(desk.settings().market.symbols)
    bars = collect_bars(provider, symbols, "1d", span).frame
    actions = collect_actions(provider, symbols, span).frame
    lake.merge(DAILY_BARS, bars, span, replacing={"symbol": symbols})
    lake.merge(CORPORATE_ACTIONS, actions, span, replacing={"symbol": symbols})
    lake.write(CROSS_CHECK_BARS, CROSS_CHECK_BARS.empty(), span)
    verdicts = judge_daily(bars, actions, span=span, calendar=XNYS)
    versions = lake.versions(DAILY_BARS, span)
    records = [GateRecord(DAILY_BARS.name, v.session, versions[v.session], v.passed, v.failures) for v in verdicts]
    desk.gates().record_gates(records, as_of=desk.clock().now())


def _documents(desk: DeskResource, span: Span) -> None:
    from resources.documents import filing_sources, macro_sources, news_sources
    from trading_assets.market.documents.ingest import collect_filings, collect_news
    from trading_assets.market.documents.macro import collect_macro
    from trading_assets.market.documents.model import FILINGS, MACRO_SERIES, NEWS
    from trading_assets.market.documents.settings import load_documents
    from trading_assets.market.documents.times import window_of

    settings, home, symbols = load_documents(config_folder()), desk.home().root, desk.settings().market.symbols
    window = window_of(span, as_of=desk.clock().now(), calendar=XNYS)
    news, filings, macro = (table.empty() for table in (NEWS, FILINGS, MACRO_SERIES))
    sources = news_sources(settings, home=home, seed=desk.settings().market.simulated_seed)
    news = collect_news(sources, symbols, window, stored=news, calendar=XNYS).frame
    filings = collect_filings(filing_sources(settings, home=home), symbols, window, stored=filings, calendar=XNYS).frame
    series, answering = settings.macro.wanted, macro_sources(settings, home=home)
    macro = collect_macro(answering, series, window, stored=macro, calendar=XNYS).frame
    for table, frame in ((NEWS, news), (FILINGS, filings), (MACRO_SERIES, macro)):
        desk.lake().write(table, frame, span)


def _features(desk: DeskResource, span: Span) -> None:
    from trading_assets.features.breadth import breadth
    from trading_assets.features.correlations import correlations
    from trading_assets.features.indicators import indicator_panel
    from trading_assets.features.liquidity import liquidity
    from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS, LIQUIDITY
    from trading_assets.market.model import QUOTE_BARS

    lake, as_of = desk.lake(), XNYS.session(span.last).close
    reach = Span(XNYS.previous(span.first).day, span.last)
    bars, actions = lake.read(DAILY_BARS, as_of=as_of), lake.read(CORPORATE_ACTIONS, as_of=as_of)
    panel = indicator_panel(bars, actions, span=reach)
    lake.write(INDICATORS, panel, reach)
    lake.write(BREADTH, breadth(bars, actions, panel, span=reach), reach)
    lake.write(LIQUIDITY, liquidity(bars, actions, QUOTE_BARS.empty(), span=span), span)
    lake.write(CORRELATIONS, correlations(bars, actions, span=span), span)


def _regimes(desk: DeskResource, span: Span) -> None:
    from trading_assets.features.model import LIQUIDITY
    from trading_assets.regimes.jump import second_opinions
    from trading_assets.regimes.liquidity import liquidity_regimes
    from trading_assets.regimes.model import LIQUIDITY_REGIMES, REGIME_LABELS, REGIME_OPINIONS
    from trading_assets.regimes.rules import regime_labels

    lake, as_of = desk.lake(), XNYS.session(span.last).close
    reach = Span(XNYS.previous(span.first).day, span.last)
    bars, actions = lake.read(DAILY_BARS, as_of=as_of), lake.read(CORPORATE_ACTIONS, as_of=as_of)
    labels = regime_labels(bars, actions, span=reach)
    lake.write(REGIME_LABELS, labels, reach)
    lake.write(REGIME_OPINIONS, second_opinions(bars, actions, labels, span=span), span)
    lake.write(LIQUIDITY_REGIMES, liquidity_regimes(lake.read(LIQUIDITY, as_of=as_of), span=span), span)


def _universes(desk: DeskResource, span: Span) -> None:
    from trading_assets.market.universe.config import load_universes
    from trading_assets.market.universe.membership import facts_needed_from, memberships, read_facts
    from trading_assets.market.universe.model import UNIVERSE, UNIVERSE_PAIRS
    from trading_assets.market.universe.pairs import cointegrated_pairs, pairs_need_from
    from trading_assets.watchlist.facts import read_facts as watchlist_facts
    from trading_assets.watchlist.listing import watchlist
    from trading_assets.watchlist.model import WATCHLIST
    from trading_assets.watchlist.rules import load_rules

    lake, as_of = desk.lake(), XNYS.session(span.last).close
    config, instruments = load_universes(config_folder()), desk.settings().market.instruments
    first = min(facts_needed_from(config, span, XNYS), pairs_need_from(config, span, XNYS))
    facts = read_facts(lake, instruments, first=first, session=span.last, as_of=as_of)
    lake.write(UNIVERSE, memberships(config, facts, span=span, calendar=XNYS).frame, span)
    lake.write(UNIVERSE_PAIRS, cointegrated_pairs(config, facts, span=span, calendar=XNYS).frame, span)
    rules = load_rules(config_folder())
    seen = watchlist_facts(lake, rules, span, as_of=as_of)
    lake.write(WATCHLIST, watchlist(seen.bars, seen.actions, seen.panel, seen.labels, rules, span=span), span)


def _opinions(desk: DeskResource, span: Span) -> None:
    from trading_assets.briefs.asking import facts_before_open
    from trading_assets.reasoning.baseline import RulesReasoner
    from trading_assets.theses.asking import ask_opinions
    from trading_assets.theses.model import OPINIONS

    lake, rules = desk.lake(), desk.rules(BACKTEST)
    thought = ask_opinions(
        RulesReasoner(),
        facts_before_open(lake, span),
        _nothing_to_spend,
        agents=rules.agents,
        strategies=rules.settings.decisions.strategies,
        skills=None,
    )
    for table in OPINIONS:
        lake.write(table, table.frame(thought.rows[table.name]), span, lane=BACKTEST)


def _nothing_to_spend(session: Session) -> Budget:
    return Budget(BACKTEST, session.key, session.day, ())


def _walk(desk: DeskResource, span: Span) -> None:
    from trading_assets.execution.counsel import Counsel
    from trading_assets.execution.lanes import BacktestWalk, Lane, store_booked
    from trading_assets.reasoning.baseline import RulesReasoner

    counsel = Counsel(RulesReasoner(), lambda slot: _nothing_to_spend(slot.session))
    lane = Lane(desk.lake(), desk.gates(), desk.ledger(BACKTEST), desk.rules(BACKTEST), counsel)
    walk = BacktestWalk.begin(lane, span, fresh=True)
    walk.walk()
    walk.store()
    store_booked(lane, span)


def _evaluate(desk: DeskResource, span: Span) -> None:
    from resources.metrics import RAW_TABLES, RawTables, run_metrics
    from resources.metrics_costs import paid_by_decision
    from trading_assets.evaluation.benchmark import buy_and_hold
    from trading_assets.evaluation.measuring import measure
    from trading_assets.evaluation.model import BENCHMARK, MEASURED

    lake, rules, as_of = desk.lake(), desk.rules(BACKTEST), XNYS.session(span.last).close
    held = buy_and_hold(
        lake.read(DAILY_BARS, as_of=as_of),
        lake.read(CORPORATE_ACTIONS, as_of=as_of),
        span=span,
        starting_cash=rules.first_book.cash,
        costs=rules.costs,
        symbols=list(rules.settings.market.symbols),
    )
    lake.write(BENCHMARK, held, span, lane=BACKTEST)
    paid, cash = paid_by_decision(desk.engine(DESK), BACKTEST), rules.first_book.cash
    for name, frame in measure(lake, desk.ledger(BACKTEST), span, paid, lane=BACKTEST, starting_cash=cash).items():
        lake.write(next(table for table in MEASURED if table.name == name), frame, span, lane=BACKTEST)
    frames = {table.name: lake.read(table, as_of=as_of, lane=BACKTEST) for table in RAW_TABLES}
    run_metrics(
        project=PROJECT / "dbt_metrics",
        warehouse=Path(desk.warehouse(BACKTEST).database),
        target=desk.home().root / "dbt" / BACKTEST,
        raw=RawTables(BACKTEST, Decimal(cash), frames),
    )


def _report(desk: DeskResource, span: Span) -> None:
    from trading_assets.evaluation.making import make_report

    make_report(desk.lake(), desk.gates(), desk.ledger(BACKTEST), desk.rules(BACKTEST), span, desk.home().reports)
