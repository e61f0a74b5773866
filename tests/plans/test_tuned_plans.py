"""The session's parameters in plans: brackets and sizes follow them, and what is switched off is found, judged and withheld."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import (
    LOOSE,
    SLOT,
    bar_at,
    breakout,
    desk_of,
    dip,
    known,
    mind,
    portfolio,
    scene,
    slot_at,
    stance,
    thesis,
)
from tests.plans.worlds import candidate, leg_pair, planned
from trading_assets.core.parameters import Parameters
from trading_assets.core.preferences import Preferences
from trading_assets.plans.candidates import candidates, refused_proposals
from trading_assets.plans.model import Candidate, Proposal
from trading_assets.plans.sizing import Room, Taken, sized
from trading_assets.plans.strategies import STRATEGIES
from trading_assets.plans.strategies.intraday import vwap_momentum
from trading_assets.plans.strategies.swing import momentum_breakout

OFF = Parameters(switched_off=("momentum_breakout@trending_bull",))


def _found(parameters: Parameters | None, **more: Any) -> tuple[Candidate, ...]:
    facts = desk_of(breakout(), dip(symbol="BBB"))
    fields: dict[str, Any] = {"narratives": (), "stance": stance(), "strategies": tuple(STRATEGIES), "sectors": {}}
    believed = mind(*map(thesis, facts.symbols))
    return candidates(SLOT, facts, believed, portfolio(), **fields, parameters=parameters, **more)


def test_the_configured_values_make_the_same_candidates_as_none() -> None:
    assert _found(Parameters()) == _found(None)
    assert {each.strategy for each in _found(None)} == {"momentum_breakout", "mean_reversion"}


def test_a_swing_bracket_stands_where_its_parameters_put_it() -> None:
    usual = momentum_breakout(scene(breakout()))
    wider = momentum_breakout(replace(scene(breakout()), parameters=Parameters(stop_atr=1.5, target_atr=6.0)))
    assert usual is not None
    assert wider is not None
    atr = (usual.entry - usual.stop) / 2
    assert wider.entry == usual.entry
    assert wider.entry - wider.stop == pytest.approx(atr * Decimal("1.5"), abs=Decimal("0.01"))
    assert wider.target - wider.entry == pytest.approx(atr * 6, abs=Decimal("0.01"))


def test_an_intraday_bracket_stands_where_its_parameters_put_it() -> None:
    eleven = slot_at("11:00")
    daily = known("trending_bull", {"close": 100.0}, {"atr_14": 1.51})
    seen = scene(daily, slot=eleven, intraday={"AAA": bar_at(eleven)})
    setup = vwap_momentum(replace(seen, parameters=Parameters(stop_fraction=0.01, target_fraction=0.02)))
    assert setup is not None
    assert (setup.entry, setup.stop, setup.target) == (Decimal("100.10"), Decimal("99.10"), Decimal("102.10"))


def test_what_sets_its_own_levels_does_not_follow_the_parameters() -> None:
    moved = Parameters(stop_atr=1.0, target_atr=6.0, target_fraction=0.03)
    usual, tuned = ({each.strategy: each for each in _found(given)} for given in (None, moved))
    assert usual["mean_reversion"] == tuned["mean_reversion"]
    assert usual["momentum_breakout"] != tuned["momentum_breakout"]


@settings(deadline=None, max_examples=60)
@given(wanted=st.sampled_from([0.03, 0.04, 0.05, 0.08, 0.10]), limit=st.floats(0.01, 0.25))
def test_a_position_weighs_what_is_wanted_and_never_more_than_the_limit(wanted: float, limit: float) -> None:
    limits = Preferences(position_fraction_max=limit, risk_per_trade_fraction_max=0.05)
    idea = candidate(entry="50.00", risk="1.00")
    (quantity,) = sized([idea], 1.0, Room(portfolio(), {}, limits, wanted), Taken()).quantities
    most = Decimal(str(min(wanted, limit))) * 100_000
    assert quantity * 50 <= most
    assert (quantity + 1) * 50 > most


def test_more_than_the_limit_is_wanted_in_vain() -> None:
    limits = Preferences(position_fraction_max=0.05)
    idea = [candidate()]
    usual = sized(idea, 1.0, Room(portfolio(), {}, limits, 0.05), Taken())
    assert sized(idea, 1.0, Room(portfolio(), {}, limits, 0.10), Taken()) == usual


def test_what_is_switched_off_is_found_and_marked() -> None:
    marked = {each.strategy: each.switched_off for each in _found(OFF)}
    assert marked == {"momentum_breakout": True, "mean_reversion": False}


def test_a_switch_in_another_regime_marks_nothing() -> None:
    elsewhere = Parameters(switched_off=("momentum_breakout@mixed", "pullback"))
    assert _found(elsewhere) == _found(None)


def test_a_pair_is_switched_off_with_either_of_its_legs() -> None:
    bought, sold = leg_pair()
    facts = desk_of(breakout(), dip(symbol="BBB"))
    for view in {bought.view, sold.view}:
        off = Parameters(switched_off=(f"{bought.strategy}@{view}",))
        marked = [each.model_copy(update={"switched_off": off.stops(each.strategy, each.view)}) for each in leg_pair()]
        assert any(each.switched_off for each in marked)
    made = planned(facts, found=[each.model_copy(update={"switched_off": True}) for each in (bought, sold)])
    assert not [plan for plan in made.plans if plan.opens]


def test_who_asked_for_what_is_switched_off_is_told() -> None:
    asked = Proposal(
        id="p", at=SLOT.at, author="me", symbol="AAA", side="long", strategy="momentum_breakout", reason="I like it"
    )
    facts, found = desk_of(breakout()), _found(OFF)
    ((_, sentence, symbol),) = refused_proposals(
        SLOT,
        facts,
        mind(thesis()),
        portfolio(),
        narratives=(),
        stance=stance(),
        strategies=tuple(STRATEGIES),
        sectors={},
        proposals=[asked],
        found=found,
        parameters=OFF,
    )
    assert symbol == "AAA"
    assert "momentum_breakout is switched off in trending_bull" in sentence


def _planned(parameters: Parameters, **more: Any) -> Any:
    facts = desk_of(breakout(), breakout(symbol="BBB"))
    found = candidates(
        SLOT,
        facts,
        mind(*map(thesis, facts.symbols)),
        portfolio(),
        narratives=(),
        stance=stance(),
        strategies=tuple(STRATEGIES),
        sectors={},
        parameters=parameters,
    )
    return planned(facts, found=found, parameters=parameters, **more)


def test_what_is_switched_off_is_withheld_as_it_would_have_been_planned() -> None:
    usual, off = _planned(Parameters()), _planned(OFF)
    assert [plan.symbol for plan in usual.plans] == ["AAA", "BBB"]
    assert usual.withheld == ()
    assert off.plans == ()
    assert [plan.symbol for plan in off.withheld] == ["AAA", "BBB"]
    assert off.withheld[0] == usual.plans[0], "the first would have been the same to the share"


def test_what_too_few_agree_on_is_not_even_withheld() -> None:
    assert _planned(OFF, votes={"technical-persona": -0.5, "macro-persona": -0.5}).withheld == ()


def test_the_trader_is_not_needed_to_withhold_and_cannot_trade_what_is_off() -> None:
    assert [plan.symbol for plan in _planned(OFF, choice=()).withheld] == ["AAA", "BBB"]
    chosen = [("momentum_breakout", "AAA", "long")]
    assert _planned(OFF, choice=chosen).plans == ()


def test_a_halt_withholds_nothing() -> None:
    """What would not have been opened anyway says nothing about its strategy."""
    assert _planned(OFF, flatten="a halt").withheld == ()


def test_what_is_withheld_takes_nothing_from_what_trades() -> None:
    live = candidate("AAA", strategy="mean_reversion", confidence=0.60)
    ghosts = [candidate(name, confidence=0.90, switched_off=True) for name in ("AAA", "BBB", "CCC")]
    facts = desk_of(breakout(), breakout(symbol="BBB"), breakout(symbol="CCC"))
    tight = LOOSE.model_copy(update={"related_risk_fraction_max": 0.01})
    related = {"AAA": {"BBB", "CCC"}, "BBB": {"AAA", "CCC"}, "CCC": {"AAA", "BBB"}}
    alone = planned(facts, found=[live], preferences=tight, related=related)
    beside = planned(facts, found=[*ghosts, live], preferences=tight, related=related)
    assert beside.plans == alone.plans != ()
    assert len(beside.withheld) == 3
