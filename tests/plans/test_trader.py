"""Which plans a slot makes: exits first, one idea per symbol by the trader's choice, with quorum and consensus, sized by risk."""

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.plans.ideas import (
    LIMITS,
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
    plan,
    portfolio,
    return_to_mean,
    slot_at,
    stance,
    thesis,
    told,
    vote,
)
from tests.plans.worlds import PERSONAS, candidate, leg_pair, planned
from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.plans.model import TRADE_PLANS, VOTES, Candidate, TradePlan, Vote
from trading_assets.plans.sizing import stop_risk
from trading_assets.plans.trader import Planned, plan_rows

ONE = desk_of(breakout())


def _plans(*symbols: SymbolFacts, **more: Any) -> tuple[TradePlan, ...]:
    return planned(desk_of(*symbols), **more).plans


def _outcomes(made: Planned) -> dict[tuple[str, str], str]:
    return {(row["strategy"], row["symbol"]): row["outcome"] for row in made.vote_rows}


@pytest.mark.parametrize(
    ("facts", "strategy"),
    [(breakout(), "momentum_breakout"), (dip(), "mean_reversion"), (return_to_mean(), "pullback")],
    ids=["momentum_breakout", "mean_reversion", "pullback"],
)
def test_a_setup_becomes_a_plan_of_its_strategy(facts: SymbolFacts, strategy: str) -> None:
    (made,) = _plans(facts)
    assert (made.action, made.strategy, made.symbol, made.regime) == ("enter", strategy, "AAA", facts.view)
    assert (made.reference, made.thesis_id, made.side) == (Decimal(100), "thesis-AAA", "long")
    assert made.votes == dict.fromkeys(PERSONAS, 0.5)
    assert made.consensus == 0.5
    assert made.reasons[-1] == "4 personas agree with a weighted consensus of +0.50"


def test_size_is_what_the_risk_limit_pays_at_the_stop() -> None:
    """0.5 % of 100,000 is 500 USD; the stop is 14 away, so 35 shares lose 490 and 36 would lose 504."""
    (made,) = _plans(breakout(atr_14=7.0))
    assert made.quantity == 35


def test_size_is_never_above_the_position_limit() -> None:
    """5 % of 100,000 buys 49 shares at 100.50; the risk limit alone would allow 125."""
    (made,) = _plans(breakout())
    assert made.quantity == 49


def test_the_stance_of_the_day_and_the_style_shrink_what_is_opened() -> None:
    (half,) = planned(ONE, stance=stance(0.5)).plans
    assert half.quantity == 24
    (quarter,) = planned(replace(ONE, liquidity={"AAA": liquid("stressed")}), stance=stance(0.5)).plans
    assert (quarter.quantity, quarter.style, quarter.entry) == (12, "passive_limit", Decimal(100))


def test_a_book_too_small_for_one_share_makes_no_plan() -> None:
    assert planned(ONE, book=portfolio(cash=2_009)).plans == ()
    assert planned(ONE, book=portfolio(cash=0)).plans == ()
    assert [p.quantity for p in planned(ONE, book=portfolio(cash=2_010)).plans] == [1]


def test_without_cash_for_one_share_there_is_no_plan_and_the_votes_say_so() -> None:
    made = planned(ONE, book=portfolio(holding("BBB", 50_000), cash=100))
    assert _outcomes(made) == {("momentum_breakout", "AAA"): "no cash: 100.00 USD are free"}


@pytest.mark.parametrize(
    ("votes", "outcome"),
    [
        ({}, None),
        ({"macro-persona": 1.0, "momentum-persona": 1.0}, "quorum 2 of 3 votes"),
        (dict.fromkeys(PERSONAS, 0.05), "consensus 0.05 below 0.1"),
        (dict.fromkeys(PERSONAS, -1.0), "consensus -1 below 0.1"),
        (dict.fromkeys(PERSONAS, 0.1), "planned"),
    ],
    ids=["nobody", "two", "lukewarm", "against", "just enough"],
)
def test_a_trade_needs_a_quorum_of_votes_that_agree(votes: dict[str, float], outcome: str | None) -> None:
    made = planned(ONE, votes=votes)
    assert bool(made.plans) == (outcome == "planned")
    assert _outcomes(made) == ({("momentum_breakout", "AAA"): outcome} if outcome else {})


def test_silence_is_remarked_and_disagreement_is_not() -> None:
    facts = desk_of(breakout(), breakout(symbol="BBB"))
    nobody = planned(facts, votes={})
    assert nobody.remarks == (("setups left", "quorum 0 of 3 votes: momentum_breakout AAA, momentum_breakout BBB", ""),)
    unheard = planned(facts, heard={"AAA": 1, "BBB": 2})
    assert unheard.remarks == (("setups left", "quorum 1 of 2 analysts on AAA: momentum_breakout AAA", "AAA"),)
    assert [p.symbol for p in unheard.plans] == ["BBB"]
    assert planned(facts, votes=dict.fromkeys(PERSONAS, -1.0)).remarks == ()


def test_weights_decide_between_votes_that_disagree() -> None:
    split = {"macro-persona": 1.0, "momentum-persona": -1.0, "technical-persona": 0.0}
    assert planned(ONE, votes=split).plans == ()
    (made,) = planned(ONE, votes=split, weights={**dict.fromkeys(PERSONAS, 1.0), "macro-persona": 2.0}).plans
    assert made.consensus == 0.25


def test_a_persona_without_a_weight_does_not_count_and_leaves_no_row() -> None:
    made = planned(ONE, weights=dict.fromkeys(PERSONAS[:2], 1.0))
    assert {row["outcome"] for row in made.vote_rows} == {"quorum 2 of 3 votes"}
    assert [row["persona"] for row in made.vote_rows] == list(PERSONAS[:2])


def test_no_stance_opens_nothing_and_is_remarked() -> None:
    made = planned(ONE, stance=None, found=(candidate(),))
    assert made.plans == ()
    assert made.remarks == (("no stance", "there is no stance of the day: nothing is opened", ""),)
    assert _outcomes(made) == {("momentum_breakout", "AAA"): "there is no stance of the day"}
    assert {(row["alone"], row["quantity_alone"]) for row in made.vote_rows} == {("pass", 0)}
    assert planned(ONE, stance=None, found=(), slot=slot_at("10:00")).remarks == ()


def test_only_what_the_trader_chose_is_opened_and_in_its_order() -> None:
    facts = desk_of(*(breakout(symbol=symbol) for symbol in ("AAA", "BBB", "CCC")))
    keys = [("momentum_breakout", symbol, "long") for symbol in ("CCC", "AAA")]
    made = planned(facts, choice=keys)
    assert [p.symbol for p in made.plans] == ["CCC", "AAA"]
    assert _outcomes(made)["momentum_breakout", "BBB"] == "not chosen by the trader"
    assert planned(facts, choice=()).plans == ()
    assert planned(facts, choice=[("pullback", "AAA", "long"), ("momentum_breakout", "ZZZ", "long")]).plans == ()


def test_one_symbol_is_opened_once_by_the_strategy_that_the_trader_put_first() -> None:
    keys = [("narrative_momentum", "AAA", "long"), ("momentum_breakout", "AAA", "long")]
    made = planned(ONE, narratives=(told(),), choice=keys)
    assert [p.strategy for p in made.plans] == ["narrative_momentum"]
    assert _outcomes(made)["momentum_breakout", "AAA"] == "another plan moves AAA in this slot"


def test_related_symbols_share_risk_in_the_traders_order() -> None:
    """1 % of 100,000 is 1,000: the first takes 500, the second 500, the third finds nothing and says so."""
    found = [candidate(symbol, risk="20") for symbol in ("AAA", "BBB", "CCC")]
    group = {symbol: {"AAA", "BBB", "CCC"} for symbol in ("AAA", "BBB", "CCC")}
    made = planned(desk_of(), found=found, related=group)
    assert [(p.symbol, p.quantity) for p in made.plans] == [("AAA", 25), ("BBB", 25)]
    words = "related positions leave 0.00 USD of the 1.0% of equity that they may lose together"
    assert made.remarks == (("setups left", f"{words}: momentum_breakout CCC", "CCC"),)
    assert [p.symbol for p in planned(desk_of(), found=found).plans] == ["AAA", "BBB", "CCC"]


def test_what_an_addition_risks_is_gone_for_entries_that_are_related() -> None:
    """AAA at 97 risks 40 before and 24.80 after its addition; BBB gets what is left of 1 %."""
    held = replace(
        holding("AAA", 1_940, quantity=20),
        thesis_id="thesis-AAA",
        entry=Decimal(100),
        stop=Decimal(95),
        target=Decimal(110),
        base_quantity=20,
    )
    limits = LIMITS.model_copy(update={"add_to_losers": True, "related_risk_fraction_max": 0.001})
    facts = desk_of(known("mixed", {"close": 97.0}, {}))
    made = planned(
        facts,
        book=portfolio(held, cash=98_060),
        believed=mind(thesis(confidence=0.8)),
        found=(candidate("BBB"),),
        preferences=limits,
        related={"AAA": ["BBB"], "BBB": ["AAA"]},
    )
    assert [(p.action, p.symbol, p.quantity) for p in made.plans] == [("add", "AAA", 10), ("enter", "BBB", 8)]


def _tied(**more: Any) -> Facts:
    legs = (known("range", {"close": 100.0, "low": 99.0}, {"atr_14": 2.0}, symbol=symbol) for symbol in ("AAA", "BBB"))
    return desk_of(*legs, correlations=(apart(),), **more)


SURE = mind(thesis("AAA", 0.55), thesis("BBB", 0.6))


def test_a_pair_becomes_two_plans_side_by_side_or_none() -> None:
    bought, sold = planned(_tied(), believed=SURE).plans
    assert [(p.symbol, p.side, p.quantity) for p in (bought, sold)] == [("BBB", "long", 49), ("AAA", "short", 50)]
    assert bought.pair == sold.pair
    assert bought.id != sold.id
    assert "earlier gaps closed" in bought.reasons[1]
    one_leg = [("correlation_convergence", "BBB", "long")]
    made = planned(_tied(), believed=SURE, choice=one_leg)
    assert made.plans == ()
    assert set(_outcomes(made).values()) == {"the trader chose one leg of the pair"}


def test_a_leg_without_its_other_leg_is_never_planned() -> None:
    bought, sold = leg_pair()
    for legs in ((bought,), (sold,), (bought, bought.model_copy(update={"symbol": "CCC"}))):
        made = planned(desk_of(), found=legs)
        assert made.plans == ()
        assert set(_outcomes(made).values()) == {"a pair without its other leg"}


def test_a_pair_needs_agreement_on_both_legs_together() -> None:
    bought, sold = leg_pair()
    votes = [vote(p, leg, value) for p in PERSONAS for leg, value in ((bought, 0.9), (sold, -0.5))]
    made = planned(desk_of(), found=(bought, sold), votes=None, choice=[bought.key, sold.key])
    assert len(made.plans) == 2
    mixed = _with_votes((bought, sold), votes)
    assert [p.consensus for p in mixed.plans] == [0.2, 0.2]
    half = _with_votes((bought, sold), [each for each in votes if each.symbol == "BBB"])
    assert half.plans == ()
    assert {(row["consensus"], row["alone"], row["outcome"]) for row in half.vote_rows} == {
        (0.9, "pass", "quorum 0 of 3 votes")
    }


def _with_votes(found: Sequence[Candidate], votes: Sequence[Vote]) -> Planned:
    return planned(desk_of(), found=found, cast=votes)


def test_a_leg_whose_symbol_is_taken_leaves_the_other_out_too() -> None:
    bought, sold = leg_pair()
    single = candidate("AAA")
    made = planned(desk_of(), found=(single, bought, sold))
    assert [(p.symbol, p.strategy) for p in made.plans] == [("AAA", "momentum_breakout")]


def test_an_intraday_setup_becomes_a_plan_that_is_flat_by_the_close() -> None:
    ten = slot_at("10:00")
    facts = desk_of(known("trending_bull", {"close": 100.0}, {"atr_14": 2.0}), intraday={"AAA": bar_at(ten)})
    (made,) = planned(facts, slot=ten).plans
    assert (made.strategy, made.slot, made.flat_by_close) == ("vwap_momentum", "10:00", True)
    assert (made.entry, made.stop, made.target) == (Decimal("100.10"), Decimal("99.30"), Decimal("101.50"))


def test_a_proposal_stays_on_its_plan() -> None:
    asked = candidate(proposal="p1")
    (made,) = planned(desk_of(), found=(asked,)).plans
    assert made.proposal == "p1"


def test_every_vote_is_kept_with_its_weight_and_what_it_would_have_done_alone() -> None:
    votes = {"macro-persona": 0.9, "momentum-persona": -0.4, "technical-persona": 0.0, "contrarian-persona": 0.3}
    weights = {**dict.fromkeys(PERSONAS, 1.0), "macro-persona": 1.5}
    made = planned(ONE, votes=votes, weights=weights)
    rows = {row["persona"]: row for row in VOTES.frame(list(made.vote_rows)).rows(named=True)}
    assert {p: (row["vote"], row["weight"], row["alone"], row["quantity_alone"]) for p, row in rows.items()} == {
        "macro-persona": (0.9, 1.5, "enter", 49),
        "momentum-persona": (-0.4, 1.0, "pass", 0),
        "technical-persona": (0.0, 1.0, "pass", 0),
        "contrarian-persona": (0.3, 1.0, "enter", 49),
    }
    assert {(row["consensus"], row["outcome"], row["knowable_at"]) for row in rows.values()} == {
        (0.277778, "planned", SLOT.at)
    }


def test_alone_a_persona_would_have_had_the_book_to_itself() -> None:
    found = [candidate(symbol, risk="20") for symbol in ("AAA", "BBB", "CCC")]
    group = {symbol: {"AAA", "BBB", "CCC"} for symbol in ("AAA", "BBB", "CCC")}
    made = planned(desk_of(), found=found, related=group)
    assert {(row["symbol"], row["quantity_alone"]) for row in made.vote_rows} == {("AAA", 25), ("BBB", 25), ("CCC", 25)}


def test_votes_on_what_is_no_candidate_leave_no_row() -> None:
    stray = [vote("macro-persona", candidate("ZZZ"), 1.0)]
    assert _with_votes((), stray).vote_rows == ()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 100_000_000), st.floats(0.1, 40.0), st.floats(0.1, 1.0))
def test_no_size_loses_more_at_the_stop_or_weighs_more_than_the_limits_allow(
    cents: int, atr: float, fraction: float
) -> None:
    book = portfolio(cash=str(Decimal(cents) / 100))
    for made in _plans(breakout(atr_14=atr), book=book, stance=stance(round(fraction, 3))):
        assert made.stop is not None
        assert (made.entry - made.stop) * made.quantity <= book.equity * Decimal("0.005") * Decimal(
            str(fraction + 1e-3)
        )
        assert made.notional <= book.equity * Decimal("0.05")
        assert made.reward_to_risk is not None
        assert made.reward_to_risk >= Decimal("1.5")


@settings(deadline=None, max_examples=20)
@given(
    st.permutations(range(3)), st.lists(st.floats(-1, 1), min_size=12, max_size=12), st.randoms(use_true_random=False)
)
def test_the_same_slot_makes_the_same_plans_whatever_the_order_of_its_parts(
    order: list[int], values: list[float], random: Any
) -> None:
    found = [candidate(symbol) for symbol in ("AAA", "BBB", "CCC")]
    cast = zip(product(PERSONAS, found), values, strict=True)
    votes = [vote(persona, each, round(value, 6)) for (persona, each), value in cast]
    made = _with_votes(found, votes)
    random.shuffle(votes)
    assert _with_votes(found, votes) == made
    for each in made.plans:
        assert each.consensus is not None
        assert each.consensus >= 0.1
    shuffled = planned(desk_of(), found=[found[n] for n in order], choice=[each.key for each in found])
    assert shuffled == planned(desk_of(), found=found)


_SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
_HELD = st.tuples(st.integers(1, 60), st.floats(90.0, 110.0), st.none() | st.floats(85.0, 99.0), st.integers(0, 25))


@settings(deadline=None, max_examples=25)
@given(
    st.dictionaries(st.sampled_from(_SYMBOLS), _HELD),
    st.lists(st.floats(-0.2, 1.0), min_size=16, max_size=16),
    st.lists(st.floats(0.2, 1.0), min_size=4, max_size=4),
    st.permutations(_SYMBOLS),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_a_slot_never_moves_a_symbol_twice_nor_risks_more_than_related_positions_may_lose(
    held: dict[str, tuple[int, float, float | None, int]],
    values: list[float],
    confidence: list[float],
    order: list[str],
    wanted: list[bool],
) -> None:
    """Four symbols that all share risk, some of them held, all of them candidates, adding to losers switched on."""
    closes = {symbol: round(held[symbol][1] if symbol in held else 100.0, 2) for symbol in _SYMBOLS}
    holdings = [
        replace(
            holding(symbol, str(Decimal(str(closes[symbol])) * quantity), quantity=quantity, sessions=sessions),
            thesis_id=f"thesis-{symbol}",
            entry=Decimal(100),
            stop=None if stop is None else Decimal(str(round(stop, 2))),
            target=Decimal(115),
            base_quantity=20,
        )
        for symbol, (quantity, _, stop, sessions) in held.items()
    ]
    book = portfolio(*holdings)
    found = [candidate(symbol, risk="12") for symbol in _SYMBOLS if symbol not in held]
    cast = zip(product(PERSONAS, found), values, strict=False)
    choice = [("momentum_breakout", s, "long") for s, take in zip(order, wanted, strict=True) if take]
    limits = LIMITS.model_copy(update={"add_to_losers": True})
    made = planned(
        desk_of(*(known("mixed", {"close": close}, {}, symbol=symbol) for symbol, close in closes.items())),
        book=book,
        believed=mind(*(thesis(s, round(c, 6)) for s, c in zip(_SYMBOLS, confidence, strict=True))),
        found=found,
        cast=[vote(persona, each, round(value, 6)) for (persona, each), value in cast],
        choice=choice,
        preferences=limits,
        related=dict.fromkeys(_SYMBOLS, frozenset(_SYMBOLS)),
    ).plans
    assert len({each.symbol for each in made}) == len(made)
    actions = [each.action for each in made]
    assert actions == sorted(actions, key=["exit", "trim", "add", "enter"].index)
    assert [each.symbol for each in made if each.action == "enter"] == [
        symbol for _, symbol, _ in choice if symbol in {each.symbol for each in made if each.action == "enter"}
    ]
    opening = [each for each in made if each.opens]
    risk = sum((each.risk_per_share or Decimal(0)) * each.quantity for each in opening)
    assert not opening or risk + sum(map(stop_risk, holdings)) <= book.equity * Decimal("0.01")
    for each in made:
        if not each.opens:
            assert each.quantity <= book.holdings[each.symbol].quantity


def test_a_plans_id_is_its_slot_strategy_symbol_and_action_and_its_digest_is_everything() -> None:
    one, other = plan(100), plan(99, target="53.00")
    assert one.id == other.id
    assert one.digest != other.digest
    assert plan(symbol="BBB").id != one.id


@pytest.mark.parametrize(
    "wrong",
    [{"stop": None}, {"target": None}, {"quantity": 0}, {"quantity": 1_000_001}, {"entry": "0"}, {"entry": "NaN"}],
    ids=["no stop", "no target", "no share", "too many", "no price", "not a price"],
)
def test_a_plan_that_is_incomplete_or_absurd_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        plan(**{"quantity": 100, "stop": "49.00", "target": "52.00", **wrong})


def test_plans_become_rows_of_their_table() -> None:
    facts = desk_of(breakout(), dip(symbol="BBB", view="trending_bear"))
    made = planned(facts, book=portfolio(holding("BBB"))).plans
    rows = TRADE_PLANS.frame(plan_rows(made, SLOT)).sort("symbol").rows(named=True)
    assert [(row["symbol"], row["action"], row["stop"]) for row in rows] == [
        ("AAA", "enter", Decimal("96.5000")),
        ("BBB", "exit", None),
    ]
    assert {row["knowable_at"] for row in rows} == {SLOT.at}
    assert json.loads(rows[0]["votes"]) == dict.fromkeys(PERSONAS, 0.5)
    assert [row["plan_digest"] for row in rows] == [p.digest for p in sorted(made, key=lambda p: p.symbol)]
