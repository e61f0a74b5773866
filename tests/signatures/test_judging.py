"""A slot's plans together: what was approved counts against the next, and the legs of a pair stand or fall together."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from random import Random

import pytest

from tests.signatures.gated import LIMITS, LOOSE, holding, leaving, plan, portfolio, short, tight
from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Portfolio
from trading_assets.signatures.exposure import pending_of, short_exposure, stop_risk
from trading_assets.signatures.judging import judge_all
from trading_assets.signatures.model import Verdict
from trading_assets.signatures.risk_gate import Surroundings, judge
from trading_assets.signatures.state import StateRuling, TradingState

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
SECTORS = {symbol: f"sector of {symbol}" for symbol in SYMBOLS}
VOLUME = dict.fromkeys(SYMBOLS, 1e6)
LEGS = (plan(symbol="AAA", pair="p"), short(symbol="BBB", pair="p"))


def judged(
    *plans: TradePlan,
    book: Portfolio | None = None,
    limits: Preferences = LOOSE,
    state: TradingState = "ACTIVE",
    related: Mapping[str, AbstractSet[str]] | None = None,
) -> list[Verdict]:
    found = judge_all(
        plans,
        book or portfolio(),
        StateRuling(state, "as said"),
        sectors=SECTORS,
        average_volume=VOLUME,
        related=related or {},
        preferences=limits,
    )
    assert tuple(each for each, _ in found) == plans
    return [verdict for _, verdict in found]


def told(verdicts: list[Verdict]) -> list[tuple[str, int, list[str]]]:
    return [(each.ruling, each.quantity, [breach.control for breach in each.breaches]) for each in verdicts]


def test_one_plan_is_judged_as_the_gate_judges_it() -> None:
    asked, book = plan(101), portfolio(holding("BBB", 5_000, stop="48.00"), cash=95_000)
    limits, related = tight(related_risk_fraction_max=0.003), {"AAA": {"BBB"}}
    around = Surroundings(book, StateRuling("ACTIVE", "as said"), SECTORS, VOLUME, limits, related)
    assert judged(asked, book=book, limits=limits, related=related) == [judge(asked, around)]


def test_no_plans_have_no_verdicts() -> None:
    assert judged() == []


def test_what_was_approved_counts_in_full_against_the_next_plan() -> None:
    verdicts = judged(plan(symbol="AAA"), plan(symbol="BBB"), limits=tight(gross_exposure_fraction_max=0.08))
    assert told(verdicts) == [("approve", 100, []), ("shrink", 60, ["C9"])]


def test_what_was_vetoed_counts_for_nothing() -> None:
    verdicts = judged(plan(stop="50.00"), plan(symbol="BBB"), limits=tight(gross_exposure_fraction_max=0.05))
    assert [verdict.ruling for verdict in verdicts] == ["veto", "approve"]


def test_what_was_shrunk_counts_with_what_is_left() -> None:
    limits = tight(order_quantity_max=50, gross_exposure_fraction_max=0.05)
    assert told(judged(plan(), plan(50, symbol="BBB"), limits=limits)) == [("shrink", 50, ["C3"]), ("approve", 50, [])]


def test_risk_that_is_shared_adds_up_within_a_slot() -> None:
    related = {symbol: {"AAA", "BBB", "CCC"} for symbol in ("AAA", "BBB", "CCC")}
    plans = [plan(symbol=symbol) for symbol in SYMBOLS]
    verdicts = judged(*plans, limits=tight(related_risk_fraction_max=0.0025), related=related)
    assert told(verdicts) == [
        ("approve", 100, []),
        ("approve", 100, []),
        ("shrink", 50, ["C20b"]),
        ("approve", 100, []),
    ]


def test_shorts_add_up_within_a_slot() -> None:
    verdicts = judged(short(symbol="AAA"), short(symbol="BBB"), limits=tight(short_exposure_fraction_max=0.08))
    assert told(verdicts) == [("approve", 100, []), ("shrink", 60, ["C28b"])]


def test_the_second_side_of_a_symbol_within_a_slot_is_refused() -> None:
    assert told(judged(plan(), short())) == [("approve", 100, []), ("veto", 0, ["C27"])]


def test_an_addition_counts_the_one_before_it() -> None:
    book = portfolio(holding("AAA", stop="49.00", base=50), cash=95_000)
    verdicts = judged(plan(30, action="add"), plan(30, action="add"), book=book)
    assert told(verdicts) == [("approve", 30, []), ("shrink", 20, ["A2"])]


def test_a_reduction_frees_nothing_for_what_opens_after_it() -> None:
    """Its fill is not known yet."""
    book = portfolio(holding("AAA", 95_000, quantity=100), cash=5_000)
    verdicts = judged(leaving(100), plan(101, symbol="BBB"), book=book)
    assert told(verdicts) == [("approve", 100, []), ("shrink", 100, ["C9", "C9b", "C9c"])]


def test_a_halted_desk_reduces_and_opens_nothing() -> None:
    book = portfolio(holding("AAA", -5_000, quantity=-100), cash=105_000)
    verdicts = judged(leaving(100, side="short"), plan(symbol="BBB"), book=book, state="HALTED")
    assert told(verdicts) == [("approve", 100, []), ("veto", 0, ["C1"])]


# Pairs


def test_a_pair_of_which_both_legs_pass_trades() -> None:
    assert told(judged(*LEGS)) == [("approve", 100, []), ("approve", 100, [])]


@pytest.mark.control("P1")
@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize(("quantity", "ruling"), [(101, "shrink"), (100, "veto")])
def test_a_leg_that_is_shrunk_or_vetoed_takes_the_other_along(cut: int, quantity: int, ruling: str) -> None:
    weak: dict[str, object] = {"quantity": quantity} if ruling == "shrink" else {"reference": Decimal("0.50")}
    legs = [leg.model_copy(update=weak) if number == cut else leg for number, leg in enumerate(LEGS)]
    verdicts = judged(*legs, limits=tight(order_quantity_max=100))
    own = "C3" if ruling == "shrink" else "C18"
    assert told(verdicts)[cut] == ("veto", 0, [own, "P1"])
    assert told(verdicts)[1 - cut] == ("veto", 0, ["P1"])
    symbol = ("AAA", "BBB")[cut]
    assert verdicts[1 - cut].sentences == (
        f"P1 pair p: {symbol} {ruling}, bound one long and one short leg, both approved in full; allows 0 of 100 shares",
    )


def test_both_legs_are_refused_while_shorts_are_off() -> None:
    limits = tight(short_selling=False)
    assert told(judged(*LEGS, limits=limits)) == [("veto", 0, ["C28", "P1"])] * 2
    assert {verdict.ruling for verdict in judged(*LEGS, limits=LIMITS)} == {"veto"}


def test_the_second_leg_is_judged_against_the_first() -> None:
    verdicts = judged(*LEGS, limits=tight(gross_exposure_fraction_max=0.0999))
    assert told(verdicts) == [("veto", 0, ["P1"]), ("veto", 0, ["C9", "P1"])]


def test_a_pair_that_falls_leaves_room_for_what_stands_between_and_after_its_legs() -> None:
    between, after = plan(symbol="CCC"), plan(symbol="DDD")
    weak = LEGS[1].model_copy(update={"reference": Decimal("0.50")})
    verdicts = judged(LEGS[0], between, weak, after, limits=tight(gross_exposure_fraction_max=0.10))
    assert [verdict.ruling for verdict in verdicts] == ["veto", "approve", "veto", "approve"]


def test_a_pair_is_judged_where_its_first_leg_stands() -> None:
    """It takes the room of what stands between its legs."""
    verdicts = judged(LEGS[0], plan(symbol="CCC"), LEGS[1], limits=tight(gross_exposure_fraction_max=0.10))
    assert told(verdicts) == [("approve", 100, []), ("veto", 0, ["C9"]), ("approve", 100, [])]


@pytest.mark.parametrize(
    ("legs", "words"),
    [
        (LEGS[:1], "1 legs: AAA long"),
        (LEGS[1:], "1 legs: BBB short"),
        ((LEGS[0], plan(symbol="BBB", pair="p")), "2 legs: AAA long, BBB long"),
        ((*LEGS, plan(symbol="CCC", pair="p")), "3 legs: AAA long, BBB short, CCC long"),
    ],
)
def test_what_is_no_long_and_short_leg_is_no_pair(legs: tuple[TradePlan, ...], words: str) -> None:
    for verdict in judged(*legs):
        assert (verdict.ruling, verdict.breaches[-1].control, verdict.breaches[-1].value) == ("veto", "P1", words)


def test_two_pairs_are_told_apart() -> None:
    other = (plan(symbol="CCC", pair="q"), short(symbol="DDD", pair="q").model_copy(update={"reference": Decimal(0)}))
    verdicts = judged(*LEGS, *other)
    assert [verdict.ruling for verdict in verdicts] == ["approve", "approve", "veto", "veto"]


def test_the_legs_of_a_pair_leave_one_by_one() -> None:
    """A reduction never waits for another."""
    book = portfolio(holding("AAA"), cash=95_000)
    legs = [each.model_copy(update={"pair": "p"}) for each in (leaving(100), leaving(100, side="short"))]
    assert [verdict.ruling for verdict in judged(*legs, book=book)] == ["approve", "veto"]


def test_a_verdict_on_a_leg_is_about_its_own_plan() -> None:
    for leg, verdict in zip(LEGS, judged(*LEGS, limits=LIMITS), strict=True):
        assert (verdict.plan_id, verdict.plan_digest) == (leg.id, leg.digest)


# Random slots


def some_plans(rng: Random) -> list[TradePlan]:
    plans = []
    for symbol in SYMBOLS:
        quantity, kind = 1 + int(rng.random() * 200), rng.random()
        plans.append((plan if kind < 0.5 else short)(quantity, symbol=symbol, pair="p" if rng.random() < 0.4 else ""))
    return sorted(plans, key=lambda _: rng.random())


def test_whatever_the_slot_all_that_is_approved_together_is_within_the_limits() -> None:
    limits = tight(gross_exposure_fraction_max=0.2, short_exposure_fraction_max=0.08, related_risk_fraction_max=0.003)
    related = {"AAA": {"AAA", "BBB"}, "BBB": {"AAA", "BBB"}}
    pairs = 0
    for number in range(300):
        plans, book = some_plans(Random(number)), portfolio()
        verdicts = judged(*plans, limits=limits, related=related)
        for asked, verdict in zip(plans, verdicts, strict=True):
            if verdict.quantity:
                book = book.with_pending(pending_of(asked, verdict.quantity))
        assert book.pending_notional <= 20_000
        assert short_exposure(book) <= 8_000
        assert stop_risk(book, {"AAA", "BBB"}) <= 300
        legs = [verdict.ruling for asked, verdict in zip(plans, verdicts, strict=True) if asked.pair]
        assert len(set(legs)) <= 1
        pairs += legs.count("approve")
    assert pairs >= 20
