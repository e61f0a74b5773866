"""The weekly desk through the whole cycle on real bars: opinions, votes, limits, three signers, orders, fills, and the way out."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.execution.world import by_rules, market, new_ledger, nothing_to_spend, rules, window, world_of
from trading_assets.briefs.facts import FactBook
from trading_assets.core.calendar import XNYS
from trading_assets.execution.counsel import Opinions
from trading_assets.execution.cycle import walk_session
from trading_assets.execution.looking import World
from trading_assets.execution.opinions import opinions_from
from trading_assets.execution.rules import Rules
from trading_assets.reasoning.baseline import RulesReasoner
from trading_assets.signatures.model import SIGNERS
from trading_assets.theses.asking import ask_opinions
from trading_assets.weekly.model import STRATEGY, TOTAL, WEEKLY_PORTFOLIO

FIRST = date(2012, 3, 5)
DAYS = [session.day for session in XNYS.sessions(FIRST, date(2012, 3, 16))]


def wishes(fraction: float, *, empty_from: date | None = None) -> list[dict[str, Any]]:
    """Every embedded symbol for a fifth of the weekly desk's capital; nothing after the run of `empty_from`."""
    rows: list[dict[str, Any]] = []
    for made in (XNYS.previous(FIRST).day, DAYS[4]):
        weight = 0.0 if empty_from == made else 0.2
        shared = {
            **dict.fromkeys(WEEKLY_PORTFOLIO.polars_schema()),
            "session": made,
            "action": "enter",
            "weight_before": 0.0,
            "weight_wanted": weight,
            "capital_fraction": fraction,
            "valid_until": XNYS.next(made, 5).day,
            "horizon_sessions": 5,
            "paths": 1,
            "seed": 1,
            "reason": "it was asked for",
            "knowable_at": XNYS.session(made).close,
        }
        rows += [{**shared, "symbol": s, "weight": weight} for s in ("AAPL", "GOOG", "IBM", "MSFT")]
        rows.append({**shared, "symbol": TOTAL, "weight": 4 * weight})
    return rows


def weekly_rules() -> Rules:
    """The project's rules with the weekly strategy as the only one."""
    given = rules()
    decisions = given.settings.decisions.model_copy(update={"strategies": (STRATEGY,)})
    return replace(given, settings=given.settings.model_copy(update={"decisions": decisions}))


def world(rows: list[dict[str, Any]]) -> World:
    frames = {**window(market().frames, FIRST, after=20), WEEKLY_PORTFOLIO.name: WEEKLY_PORTFOLIO.frame(rows)}
    made = world_of(frames)
    return replace(made, counsel=replace(by_rules(), said=said(made.facts)))


def said(facts: FactBook) -> dict[str, Opinions]:
    """What the rules members say before each open, the weekly strategy allowed."""
    known = {session: facts.at(session.open) for session in XNYS.sessions(DAYS[0], DAYS[-1])}
    agents = rules().agents
    thought = ask_opinions(RulesReasoner(), known, nothing_to_spend, agents=agents, strategies=(STRATEGY,), skills=None)
    return dict(opinions_from(thought.rows))


def walk(home: Path, rows: list[dict[str, Any]]) -> tuple[list[Any], Any]:
    """Every slot's result, and the ledger."""
    home.mkdir(parents=True, exist_ok=True)
    ledger, seen, how = new_ledger(home), world(rows), weekly_rules()
    results = []
    for day in DAYS:
        with ledger.session() as transaction:
            results += list(walk_session(XNYS.session(day), seen, how, transaction))
    return results, ledger


def opened(results: list[Any]) -> list[Any]:
    return [intent for result in results for intent in result.intents if intent.plan.opens]


def test_wishes_become_orders_with_three_signatures_and_a_later_portfolio_sells_them(tmp_path: Path) -> None:
    results, ledger = walk(tmp_path, wishes(0.25, empty_from=DAYS[4]))
    bought = opened(results)
    assert bought, "at least one of four symbols has a thesis"
    assert {intent.plan.strategy for intent in bought} == {STRATEGY}
    assert {intent.slot for intent in bought} == {"09:30"}
    for result in results:
        for intent in result.intents:
            ruled = {v.signer: v.ruling for plan, v in result.judged if plan.id == intent.plan.id}
            assert set(ruled) == set(SIGNERS)
            assert "veto" not in ruled.values()
    first = bought[0].plan
    assert first.notional <= 5_000, "a fifth of a quarter of 100,000 USD"
    sold = [intent.plan for result in results for intent in result.intents if not intent.plan.opens]
    away = [plan for plan in sold if plan.reasons[0].startswith(f"the weekly portfolio of {DAYS[4]} does not want it")]
    assert away
    assert {plan.session for plan in away} == {DAYS[5]}
    assert not [intent for intent in bought if intent.plan.session > DAYS[4]]
    with ledger.reading() as book:
        close = book.close_of(DAYS[-1])
        assert close is not None
        assert not close.book.positions, "all of it left at the open after"
        assert book.fills(DAYS[-1])


@pytest.mark.parametrize("rows", [wishes(0.0), []], ids=["no capital", "no portfolio"])
def test_without_capital_or_portfolio_the_weekly_strategy_opens_nothing(rows: list[Any], tmp_path: Path) -> None:
    results, _ = walk(tmp_path, rows)
    assert len(results) >= len(DAYS)
    assert opened(results) == []


def test_a_decision_sees_the_newest_portfolio_and_none_of_later() -> None:
    seen = world(wishes(0.25)).facts
    before = seen.at(XNYS.session(DAYS[4]).open).weekly
    after = seen.at(XNYS.session(DAYS[5]).open).weekly
    assert before is not None
    assert after is not None
    assert (before.session, after.session) == (XNYS.previous(FIRST).day, DAYS[4])
    assert dict(after.weights) == dict.fromkeys(("AAPL", "GOOG", "IBM", "MSFT"), 0.2)
