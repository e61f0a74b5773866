"""The result of a book beside every benchmark, as the demo and the backtest end with."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from desk.output import say, table
from resources.desk import DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ports import Lake

if TYPE_CHECKING:
    from decimal import Decimal

    import polars as pl

    from trading_assets.evaluation.benchmarks.beside import Comparison
    from trading_assets.evaluation.regrets import Regrets
    from trading_assets.evaluation.summary import TradeRecord
    from trading_assets.execution.rules import Rules

CELLS = ("good_won", "good_lost", "bad_won", "bad_lost")


def show_summary(lane: str, *, as_json: bool) -> None:
    """The measures of the lane's whole record beside each benchmark, and the paths of what was written."""
    from trading_assets.evaluation.benchmarks.beside import coin_sentence, shown, verdict
    from trading_assets.evaluation.regrets import sentences_of
    from trading_assets.execution.model import ACCOUNT, TRADES

    desk = DeskResource()
    lake, cash, as_of = desk.lake(), desk.rules(lane).first_book.cash, XNYS.session(XNYS.last).close
    account, trades = (lake.read(each, as_of=as_of, lane=lane) for each in (ACCOUNT, TRADES))
    if not account.height:
        raise DataNotReady(f"book {lane} has no settled session", hint="desk backtest --from D --to D")
    first, last = account["session"][0], account["session"][-1]
    comparison = _compared(lake, lane, account, trades, cash)
    evidence, judged = _by_evidence(lake, lane, trades), _judged(lake, desk.rules(lane), trades)
    paths = _paths(desk, lane, last.isoformat())
    if as_json:
        told = _json(comparison, evidence, judged)
        typer.echo(json.dumps({"book": lane, "first": first, "last": last, **told, "paths": paths}, default=str))
        return
    title = f"{lane}: {first} to {last}, {account.height} sessions, start {cash:,.2f} USD"
    columns = ("measure", "desk", *(each.label for each in comparison.others))
    table(title, columns, [*shown(comparison), *_of_trades(comparison)])
    for each in comparison.others:
        typer.echo(verdict(each))
    sentences = (coin_sentence(comparison.of("coin_flip")), *sentences_of(judged), *_evidence_sentences(evidence))
    for sentence in sentences:
        if sentence:
            typer.echo(sentence)
    for name, path in paths.items():
        say(f"{name:<10} {path}")


def _compared(lake: Lake, lane: str, account: "pl.DataFrame", trades: "pl.DataFrame", cash: "Decimal") -> "Comparison":
    from trading_assets.evaluation.benchmark_model import BENCHMARK_NOTES, BENCHMARKS, COIN_LIVES
    from trading_assets.evaluation.benchmarks.beside import compare

    last = account["session"][-1]
    as_of = XNYS.session(last).close
    rows, lives, notes = (
        lake.read(each, as_of=as_of, lane=lane, last=last) for each in (BENCHMARKS, COIN_LIVES, BENCHMARK_NOTES)
    )
    return compare(account, trades, rows, lives, notes, starting_cash=cash)


def _by_evidence(lake: Lake, lane: str, trades: "pl.DataFrame") -> "Mapping[str, TradeRecord]":
    """The trades' record apart for what their decisions rested on; nothing where no decision is labelled."""
    from trading_assets.evaluation.model import DECISION_EVIDENCE
    from trading_assets.evaluation.summary import evidence_labels, records_by_evidence
    from trading_assets.plans.model import TRADE_PLANS

    as_of = XNYS.session(XNYS.last).close
    plans, evidence = (lake.read(each, as_of=as_of, lane=lane) for each in (TRADE_PLANS, DECISION_EVIDENCE))
    if not evidence.height:
        return {}
    records = records_by_evidence(trades, evidence_labels(lane, trades, plans, evidence))
    return {str(kind): record for kind, record in records.items()}


def _judged(lake: Lake, rules: "Rules", trades: "pl.DataFrame") -> "Regrets":
    """The closed trades by what was wrong with their decisions."""
    from trading_assets.evaluation.regrets import regrets
    from trading_assets.plans.model import TRADE_PLANS
    from trading_assets.theses.memory.model import LESSONS
    from trading_assets.theses.model import STANCES

    as_of, lane = XNYS.session(XNYS.last).close, rules.book
    plans, lessons, stances = (lake.read(t, as_of=as_of, lane=lane) for t in (TRADE_PLANS, LESSONS, STANCES))
    limits, costs = rules.preferences, rules.costs
    return regrets(trades, plans, lessons, stances, lane=lane, preferences=limits, costs=costs)


def _of_trades(comparison: "Comparison") -> Iterator[tuple[str, ...]]:
    """What only the desk has: closed trades."""
    desk, others = comparison.desk, ("",) * len(comparison.others)
    for label, value, form in (
        ("Closed trades", desk.trades_to_date, "{:d}"),
        ("Win rate", desk.win_rate_fraction, "{:.1%}"),
        ("Profit factor", desk.profit_factor, "{:.2f}"),
        ("Mean exposure", desk.exposure_fraction_mean, "{:.1%}"),
    ):
        yield label, "n/a" if value is None else form.format(value), *others


def _evidence_sentences(evidence: "Mapping[str, TradeRecord]") -> Iterator[str]:
    """One line for each kind of evidence; none where the rules decided everything."""
    if set(evidence) <= {"rules"}:
        return
    for kind, record in evidence.items():
        rate = "" if record.win_rate_fraction is None else f", {record.win_rate_fraction:.0%} won"
        yield f"decided on {kind} evidence: {record.trades} trades, {record.pnl_usd:+,.2f} USD{rate}"


def _json(comparison: "Comparison", evidence: "Mapping[str, TradeRecord]", judged: "Regrets") -> dict[str, Any]:
    held = comparison.of("buy_and_hold").measures
    return {
        "desk": asdict(comparison.desk),
        "buy_and_hold": None if held is None else asdict(held),
        "benchmarks": {each.name: asdict(each) for each in comparison.others},
        "evidence": {kind: asdict(record) for kind, record in evidence.items()},
        "decisions": {cell: asdict(getattr(judged, cell)) for cell in CELLS},
    }


def _paths(desk: DeskResource, lane: str, session: str) -> dict[str, str]:
    home = desk.home()
    return {
        "report": str(home.reports / lane / session / "report.md"),
        "lake": str(home.lake),
        "ledger": desk.engine(lane).get_execution_options()["ledger"],
        "warehouse": str(home.warehouse / f"{lane}.duckdb"),
    }
