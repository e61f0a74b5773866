"""What may be traded in a slot: only setups whose strategy, stance, view and thesis allow it; proposals take the same way."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import (
    SLOT,
    apart,
    bar_at,
    breakout,
    desk_of,
    dip,
    holding,
    known,
    liquid,
    mind,
    portfolio,
    return_to_mean,
    slot_at,
    stance,
    thesis,
    told,
)
from trading_assets.briefs.facts import Facts
from trading_assets.core.slots import Slot
from trading_assets.plans.candidates import candidates, refused_proposals
from trading_assets.plans.model import Candidate, PlanSide, Proposal
from trading_assets.plans.portfolio import Pending, Portfolio
from trading_assets.plans.strategies import STRATEGIES
from trading_assets.theses.model import Mind, Stance

ALL = tuple(STRATEGIES)
TEN = slot_at("10:00")
CALM = stance()
SETUPS = {"momentum_breakout": breakout, "mean_reversion": dip, "pullback": return_to_mean}


def _asked(
    facts: Facts,
    believed: Mind | None = None,
    *,
    slot: Slot = SLOT,
    book: Portfolio | None = None,
    said: Stance | None = CALM,
    strategies: Sequence[str] = ALL,
    proposals: Sequence[Proposal] = (),
    **more: Any,
) -> tuple[Candidate, ...]:
    believed = mind(*map(thesis, facts.symbols)) if believed is None else believed
    fields: dict[str, Any] = {
        "narratives": more.get("narratives", ()),
        "stance": said,
        "strategies": strategies,
        "sectors": {symbol: symbol for symbol in facts.symbols},
        "proposals": proposals,
    }
    found = candidates(slot, facts, believed, book or portfolio(), **fields)
    refusals.clear()
    refusals.extend(refused_proposals(slot, facts, believed, book or portfolio(), found=found, **fields))
    return found


refusals: list[tuple[str, str, str]] = []


def _names(found: Sequence[Candidate]) -> list[tuple[str, str, str]]:
    return [each.key for each in found]


@pytest.mark.parametrize(("strategy", "setup"), SETUPS.items(), ids=SETUPS)
@pytest.mark.parametrize("view", ["trending_bull", "trending_bear", "range", "mild_trend", "mixed", "unknown"])
def test_a_setup_is_a_candidate_in_its_strategys_views_alone(strategy: str, setup: Any, view: str) -> None:
    found = _asked(desk_of(setup(view=view)), strategies=(strategy,))
    assert bool(found) == (view in STRATEGIES[strategy].views)


def test_a_candidate_carries_thesis_view_prices_style_and_reasons() -> None:
    (found,) = _asked(desk_of(breakout()))
    assert found.key == ("momentum_breakout", "AAA", "long")
    assert (found.view, found.thesis_id, found.confidence) == ("trending_bull", "thesis-AAA", 0.55)
    assert (found.reference, found.entry, found.stop, found.target) == (
        Decimal(100),
        Decimal("100.5"),
        Decimal("96.5"),
        Decimal("106.9"),
    )
    assert (found.style, found.size_fraction, found.flat_by_close, found.pair) == ("capped_limit", 1.0, False, "")
    assert found.reasons[-1] == "liquidity is normal (spread and depth): capped limit"


@pytest.mark.parametrize(
    "believed",
    [
        mind(),
        mind(thesis(confidence=0.549999)),
        mind(thesis(status="weak")),
        mind(thesis(status="conflicted", confidence=0.9)),
        mind(thesis(status="ended", confidence=0.9)),
        mind(thesis(direction="short", confidence=0.9)),
        mind(thesis("BBB", 0.9)),
    ],
    ids=["none", "unsure", "weak", "conflicted", "ended", "short", "of another symbol"],
)
def test_without_a_live_active_and_sure_long_thesis_there_is_no_candidate(believed: Mind) -> None:
    assert _asked(desk_of(breakout()), believed) == ()


@pytest.mark.parametrize("strategy", SETUPS, ids=str)
def test_every_strategy_asks_for_the_same_confidence(strategy: str) -> None:
    facts = desk_of(SETUPS[strategy]())
    assert _asked(facts, mind(thesis(confidence=0.55)))
    assert not _asked(facts, mind(thesis(confidence=0.54)))


def test_no_stance_opens_nothing() -> None:
    assert _asked(desk_of(breakout()), said=None) == ()
    assert _asked(desk_of(breakout()), said=stance(0.0)) == ()


def test_what_stance_or_settings_leave_out_never_acts() -> None:
    assert _asked(desk_of(breakout()), said=stance(strategies=("pullback",))) == ()
    assert _asked(desk_of(breakout()), strategies=("pullback",)) == ()
    assert _asked(desk_of(breakout()), said=stance(strategies=("momentum_breakout", "a new one")))


def test_what_is_held_or_on_its_way_or_splits_today_is_no_candidate() -> None:
    assert _asked(desk_of(breakout()), book=portfolio(holding("AAA"))) == ()
    assert _asked(desk_of(breakout()), book=portfolio().with_pending(Pending("AAA", Decimal(1)))) == ()
    assert _asked(desk_of(breakout(split="2"))) == ()


def test_a_stressed_symbol_is_a_candidate_at_half_the_size_behind_the_last_price() -> None:
    (found,) = _asked(desk_of(breakout(), liquidity={"AAA": liquid("stressed")}))
    assert (found.style, found.entry, found.size_fraction) == ("passive_limit", Decimal(100), 0.5)


def test_two_strategies_may_see_the_same_symbol_and_the_surest_comes_first() -> None:
    facts = desk_of(breakout(), dip(symbol="BBB"))
    found = _asked(facts, mind(thesis("AAA", 0.6), thesis("BBB", 0.7)), narratives=(told(), told("BBB")))
    assert _names(found) == [
        ("mean_reversion", "BBB", "long"),
        ("narrative_momentum", "BBB", "long"),
        ("momentum_breakout", "AAA", "long"),
        ("narrative_momentum", "AAA", "long"),
    ]


def test_between_open_and_last_hour_only_the_intraday_strategy_finds_anything() -> None:
    loud = known("trending_bull", {"close": 100.0}, {"atr_14": 2.0})
    facts = desk_of(breakout(symbol="BBB"), loud, intraday={"AAA": bar_at(TEN)})
    (found,) = _asked(facts, slot=TEN)
    assert found.key == ("vwap_momentum", "AAA", "long")
    assert found.flat_by_close
    assert _asked(facts, slot=slot_at("15:00")) == ()


def _tied(**changed: Any) -> Facts:
    """AAA stands 2.1 deviations above BBB; both range."""
    row = {"close": 100.0, "low": 99.0}
    legs = (known("range", row, {"atr_14": 2.0}, symbol=symbol) for symbol in ("AAA", "BBB"))
    return desk_of(*legs, correlations=(apart(**changed),))


SURE = mind(thesis("AAA", 0.55), thesis("BBB", 0.6))


def test_a_pair_is_two_candidates_on_the_thesis_of_the_leg_that_is_bought() -> None:
    sold, bought = _asked(_tied(), SURE)
    assert (bought.key, sold.key) == (
        ("correlation_convergence", "BBB", "long"),
        ("correlation_convergence", "AAA", "short"),
    )
    assert bought.pair == sold.pair != ""
    assert bought.thesis_id == sold.thesis_id == "thesis-BBB"
    assert sold.stop > sold.entry > sold.target
    assert bought.reasons[:2] == sold.reasons[:2]


@pytest.mark.parametrize(
    ("facts", "believed"),
    [
        (_tied(), mind(thesis("AAA", 0.6), thesis("BBB", 0.6))),
        (_tied(), mind(thesis("AAA", 0.9), thesis("BBB", 0.6))),
        (_tied(), mind(thesis("AAA", 0.55))),
        (_tied(gap_z=-2.1), SURE),
        (_tied(episodes=4), SURE),
    ],
    ids=["as sure of both", "surer of the sold one", "no thesis on the bought one", "other way round", "short record"],
)
def test_a_pair_that_is_not_believed_in_is_no_candidate(facts: Facts, believed: Mind) -> None:
    assert _asked(facts, believed) == ()


def test_either_both_legs_of_a_pair_are_candidates_or_none() -> None:
    tied = _tied()
    for symbol in ("AAA", "BBB"):
        assert _asked(tied, SURE, book=portfolio(holding(symbol))) == ()
        split = {**tied.symbols, symbol: replace(tied.symbols[symbol], split_ratio=Decimal(2))}
        assert _asked(replace(tied, symbols=split), SURE) == ()
        assert _asked(replace(tied, symbols={s: f for s, f in tied.symbols.items() if s != symbol}), SURE) == ()
    for symbol, view in (("AAA", "trending_bull"), ("BBB", "trending_bear")):
        turned = replace(tied.symbols[symbol], regime={"strategy_view": view})
        assert _asked(replace(tied, symbols={**tied.symbols, symbol: turned}), SURE) == ()


def test_stress_in_one_leg_makes_both_passive() -> None:
    facts = replace(_tied(), liquidity={"AAA": liquid("stressed"), "BBB": liquid()})
    assert [each.style for each in _asked(facts, SURE)] == ["passive_limit", "passive_limit"]


def test_a_symbol_stands_in_its_surest_pair_alone() -> None:
    row = {"close": 100.0, "low": 99.0}
    legs = (known("range", row, {"atr_14": 2.0}, symbol=symbol) for symbol in ("AAA", "BBB", "CCC"))
    ties = (apart("AAA", "BBB", convergence_low=0.6), apart("AAA", "CCC", convergence_low=0.7))
    believed = mind(thesis("BBB", 0.6), thesis("CCC", 0.6))
    found = _asked(desk_of(*legs, correlations=ties), believed)
    assert sorted(each.symbol for each in found) == ["AAA", "CCC"]


def _proposal(
    strategy: str = "momentum_breakout", symbol: str = "AAA", side: PlanSide = "long", **more: Any
) -> Proposal:
    fields = {"id": "p1", "at": SLOT.at - timedelta(hours=1), "author": "operator", "reason": "it looks strong"}
    return Proposal(**{**fields, "strategy": strategy, "symbol": symbol, "side": side, **more})


def test_a_proposal_with_a_setup_is_that_candidate_and_carries_its_id() -> None:
    later = _proposal(id="p0", at=SLOT.at)
    (found,) = _asked(desk_of(breakout()), proposals=(later, _proposal()))
    assert found.proposal == "p1"
    assert refusals == []
    (plain,) = _asked(desk_of(breakout()))
    assert plain.model_copy(update={"proposal": "p1"}) == found


@pytest.mark.parametrize(
    ("proposal", "more", "why"),
    [
        (_proposal("pullback"), {}, "pullback does not open a long position while the view of AAA is trending_bull"),
        (_proposal(side="short"), {}, "momentum_breakout sells nothing short"),
        (_proposal(symbol="ZZZ"), {}, "no bar of the last session is known of ZZZ"),
        (
            _proposal("astrology"),
            {},
            "the settings leave the strategy out, or it enters nothing so late in the session",
        ),
        (_proposal(), {"said": None}, "there is no stance of the day"),
        (_proposal(), {"said": stance(strategies=())}, "the stance of the day leaves out momentum_breakout"),
        (_proposal(), {"believed": mind()}, "there is no live long thesis on AAA"),
        (_proposal(), {"book": portfolio(holding("AAA"))}, "AAA is held or has an entry on its way"),
        (_proposal("narrative_momentum"), {}, "narrative_momentum sees no setup in AAA"),
        (
            _proposal("correlation_convergence", side="short"),
            {},
            "no pair came apart far enough with AAA on the short side",
        ),
    ],
    ids=lambda each: each.strategy if isinstance(each, Proposal) else None,
)
def test_a_proposal_without_a_setup_is_refused_with_the_reason(
    proposal: Proposal, more: dict[str, Any], why: str
) -> None:
    _asked(desk_of(breakout()), proposals=(proposal,), **more)
    words = f"operator asked for {proposal.strategy} in {proposal.symbol}, {proposal.side}: {why}"
    assert refusals == [("proposal refused", words, proposal.symbol)]


def test_a_proposed_pair_is_refused_with_the_reason_of_its_legs() -> None:
    asked = _proposal("correlation_convergence", "BBB")
    _asked(_tied(), mind(thesis("AAA", 0.6), thesis("BBB", 0.6)), proposals=(asked,))
    assert refusals[0][1].endswith("the thesis on AAA (0.60) is as sure as that on BBB")


def test_a_proposal_for_another_kind_of_slot_waits_for_it() -> None:
    _asked(desk_of(breakout()), slot=TEN, proposals=(_proposal(),))
    assert refusals == []
    _asked(desk_of(breakout()), proposals=(_proposal("vwap_momentum"),))
    assert refusals == []


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_the_order_of_symbols_and_theses_does_not_matter(first: list[int], second: list[int]) -> None:
    symbols = [breakout(), dip(symbol="BBB"), return_to_mean(symbol="CCC"), breakout(symbol="DDD")]
    theses = [thesis(each.symbol, 0.6) for each in symbols]
    found = _asked(desk_of(*(symbols[n] for n in first)), mind(*(theses[n] for n in second)))
    assert found == _asked(desk_of(*symbols), mind(*theses))
    assert len({each.key for each in found}) == len(found) == 4
