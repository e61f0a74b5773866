"""Shorts, risk that related positions share, and additions before the risk gate."""

from decimal import Decimal

import pytest

from tests.signatures.gated import LIMITS, around, holding, leaving, plan, portfolio, short, tight, told
from trading_assets.plans.model import PlanAction, PlanSide, TradePlan
from trading_assets.plans.portfolio import Holding, Pending
from trading_assets.signatures.exposure import PendingEntry, committed, free_cash, gross, net_towards, stop_risk
from trading_assets.signatures.risk_gate import judge

SIDES: tuple[PlanSide, ...] = ("long", "short")


@pytest.mark.control("C6")
def test_what_opens_has_a_limit() -> None:
    naked = plan().model_copy(update={"style": "market"})
    assert told(judge(naked, around())) == ("veto", 0, ["C6"])
    assert judge(leaving(), around(portfolio(holding("AAA")))).ruling == "approve"


@pytest.mark.parametrize("pair", ["", "p"])
def test_a_short_sale_needs_the_operators_word(pair: str) -> None:
    assert told(judge(short(pair=pair), around(preferences=tight(short_selling=False)))) == ("veto", 0, ["C28"])


def test_the_long_leg_of_a_pair_needs_it_too() -> None:
    verdict = judge(plan(pair="p"), around(preferences=tight(short_selling=False)))
    assert told(verdict) == ("veto", 0, ["C28"])
    assert verdict.sentences[0] == ("C28 short sales: the pair p, bound short_selling on; allows 0 of 100 shares")
    assert judge(plan(), around(preferences=tight(short_selling=False))).ruling == "approve"


def test_the_limits_at_delivery_refuse_every_short() -> None:
    assert told(judge(short(10), around(preferences=LIMITS))) == ("veto", 0, ["C28"])


def test_shorts_held_and_pending_count_against_the_short_exposure_and_longs_do_not() -> None:
    book = portfolio(holding("CCC", -2_000, quantity=-40, stop="51.00"), holding("BBB", 50_000), cash=52_000)
    book = book.with_pending(PendingEntry("H1", Decimal(1_000), "short", 20, Decimal(20)))
    book = book.with_pending(PendingEntry("H2", Decimal(9_000), "long", 20, Decimal(20)))
    around_it = around(book, tight(short_exposure_fraction_max=0.05))
    assert told(judge(short(100), around_it)) == ("shrink", 40, ["C28b"])
    assert judge(plan(100), around_it).ruling == "approve"


def test_a_pending_entry_that_does_not_tell_its_side_may_be_short() -> None:
    book = portfolio().with_pending(Pending("H1", Decimal(2_000)))
    assert told(judge(short(100), around(book, tight(short_exposure_fraction_max=0.05)))) == ("shrink", 60, ["C28b"])


@pytest.mark.control("C9b")
def test_a_short_sale_frees_no_cash_and_takes_as_much_as_a_purchase() -> None:
    """10,000 of equity: the short of 4,000 brought 4,000 in, owes them, and stands against 4,000 more."""
    book = portfolio(holding("CCC", -4_000, quantity=-80, stop="51.00"), cash=14_000)
    limits = tight(position_fraction_max=0.25)
    assert free_cash(book) == 6_000
    assert judge(plan(100, entry="60.10", stop="59.00", target="63.00"), around(book, limits)).quantity == 41
    for worth, free in ((-5_000, 4_000), (-7_000, 0)):
        dearer = portfolio(holding("CCC", worth, quantity=-80, stop="101.00"), cash=14_000)
        assert free_cash(dearer) == free
    assert "C9b" in told(judge(plan(1), around(dearer)))[2]


def test_a_short_position_counts_by_its_size_for_every_limit_on_value() -> None:
    book = portfolio(holding("CCC", -60_000, quantity=-600, stop="100.00"), cash=160_000)
    sectors = {"AAA": "Banks", "CCC": "Banks"}
    assert committed(book, "CCC") == gross(book) == 60_000
    assert book.equity == 100_000
    verdict = judge(plan(100), around(book, tight(gross_exposure_fraction_max=0.64)))
    assert told(verdict) == ("shrink", 80, ["C9"])
    verdict = judge(plan(100), around(book, tight(sector_fraction_max=0.64), sectors=sectors))
    assert told(verdict) == ("shrink", 80, ["C10"])
    owed = portfolio(holding("AAA", -4_000, quantity=-80, stop="51.00"), cash=104_000)
    verdict = judge(short(100), around(owed, tight(position_fraction_max=0.05)))
    assert told(verdict) == ("shrink", 20, ["C7"])


@pytest.mark.control("C27")
@pytest.mark.parametrize(
    ("asked", "held"),
    [
        (plan(10), holding("AAA", -5_000, quantity=-100, stop="51.00")),
        (short(10), holding("AAA", stop="49.00")),
        (short(10, action="add"), holding("AAA", stop="49.00")),
    ],
)
def test_a_symbol_is_held_on_one_side_only(asked: TradePlan, held: Holding) -> None:
    assert "C27" in told(judge(asked, around(portfolio(held))))[2]
    other: PlanSide = "short" if asked.side == "long" else "long"
    coming = portfolio().with_pending(PendingEntry("AAA", Decimal(100), other, 2, Decimal(2)))
    assert "C27" in told(judge(asked, around(coming)))[2]


def test_a_pending_entry_of_an_unknown_side_may_be_on_the_other() -> None:
    verdict = judge(plan(10), around(portfolio().with_pending(Pending("AAA", Decimal(100)))))
    assert told(verdict) == ("veto", 0, ["C27"])
    assert "long beside unknown" in verdict.sentences[0]


@pytest.mark.control("C20b")
def test_related_positions_share_one_risk() -> None:
    """Equity 100,000, at most 1,000 at risk: 400 in BBB to its stop, 300 pending in CCC, 300 left for the plan."""
    book = portfolio(holding("BBB", 5_000, stop="46.00"), holding("H1", 5_000, stop="10.00"), cash=90_000)
    book = book.with_pending(PendingEntry("CCC", Decimal(3_000), "long", 60, Decimal(300)))
    limits = tight(related_risk_fraction_max=0.01)
    shared = around(book, limits, related={"AAA": {"AAA", "BBB", "CCC"}})
    assert told(judge(plan(301), shared)) == ("shrink", 300, ["C20b"])
    assert judge(plan(300), shared).ruling == "approve"
    assert judge(plan(500), around(book, limits)).quantity == 500


def test_the_risk_of_a_short_is_the_way_up_to_its_stop() -> None:
    book = portfolio(holding("BBB", -5_000, quantity=-100, stop="52.00"), cash=105_000)
    assert stop_risk(book, {"BBB"}) == 200
    limits = tight(related_risk_fraction_max=0.003)
    assert judge(short(101), around(book, limits, related={"AAA": {"BBB"}})).quantity == 100


def test_a_stop_that_locks_a_gain_in_risks_nothing_and_offsets_nothing() -> None:
    book = portfolio(holding("BBB", 4_000, stop="45.00"), holding("CCC", 5_000, stop="49.00"), cash=91_000)
    assert stop_risk(book, {"BBB", "CCC"}) == 100


def test_what_has_no_stop_is_at_risk_with_all_of_it() -> None:
    book = portfolio(holding("BBB", -400, quantity=-8), cash=100_400).with_pending(Pending("BBB", Decimal(500)))
    assert stop_risk(book, {"BBB"}) == 900
    verdict = judge(plan(200), around(book, tight(related_risk_fraction_max=0.01), related={"AAA": {"BBB"}}))
    assert told(verdict) == ("shrink", 100, ["C20b"])


def test_an_addition_shares_one_trades_risk_with_its_position() -> None:
    book = portfolio(holding("AAA", 5_000, stop="49.50"), cash=95_000)
    limits = tight(risk_per_trade_fraction_max=0.001)
    assert told(judge(plan(100, action="add"), around(book, limits))) == ("shrink", 50, ["C20"])


@pytest.mark.control("A1")
def test_an_addition_needs_a_position() -> None:
    assert told(judge(plan(10, action="add"), around())) == ("veto", 0, ["A1"])


@pytest.mark.control("A2")
@pytest.mark.parametrize("action", ["enter", "add"])
def test_a_position_never_grows_beyond_three_times_its_first_size(action: PlanAction) -> None:
    """Whatever the plan calls itself."""
    book = portfolio(holding("AAA", 5_000, stop="49.00", base=50), cash=95_000)
    book = book.with_pending(PendingEntry("AAA", Decimal(1_000), "long", 20, Decimal(20)))
    assert told(judge(plan(31, action=action), around(book))) == ("shrink", 30, ["A2"])
    assert judge(plan(30, action=action), around(book)).ruling == "approve"


def test_a_first_size_of_nothing_and_a_pending_addition_of_unknown_size_allow_nothing() -> None:
    nothing = portfolio(holding("AAA", stop="49.00", base=0), cash=95_000)
    assert told(judge(plan(10, action="add"), around(nothing))) == ("veto", 0, ["A2"])
    unknown = portfolio(holding("AAA", stop="49.00"), cash=95_000).with_pending(Pending("AAA", Decimal(50)))
    assert told(judge(plan(10, action="add"), around(unknown))) == ("veto", 0, ["C27", "A2"])


@pytest.mark.control("A3")
@pytest.mark.parametrize(
    ("asked", "held", "allowed"),
    [
        (plan(10, action="add", reference="50.01"), holding("AAA", entry="50.01", stop="49.00"), True),
        (plan(10, action="add", reference="50.00"), holding("AAA", entry="50.01", stop="49.00"), False),
        (plan(10, reference="50.00"), holding("AAA", entry="50.01", stop="49.00"), False),
        (plan(10, action="add"), holding("AAA", entry=None, stop="49.00"), False),
        (short(10, action="add"), holding("AAA", -5_000, quantity=-100, entry="50.00", stop="51.00"), True),
        (short(10, action="add"), holding("AAA", -5_000, quantity=-100, entry="49.99", stop="51.00"), False),
    ],
)
def test_nothing_is_added_to_a_loser_without_the_operators_word(asked: TradePlan, held: Holding, allowed: bool) -> None:
    book = portfolio(held, cash=str(100_000 - held.value))
    assert told(judge(asked, around(book, tight(add_to_losers=False)))) == (
        ("approve", 10, []) if allowed else ("veto", 0, ["A3"])
    )
    assert judge(asked, around(book)).ruling == "approve"


@pytest.mark.control("C9c")
def test_what_is_owed_offsets_what_is_held_and_what_may_never_fill_offsets_nothing() -> None:
    book = portfolio(holding("CCC", 30_000), holding("H1", -10_000, quantity=-100, stop="101.00"), cash=80_000)
    assert [net_towards(book, side) for side in SIDES] == [20_000, -20_000]
    coming = book.with_pending(PendingEntry("H2", Decimal(4_000), "short", 20, Decimal(20)))
    assert [net_towards(coming, side) for side in SIDES] == [20_000, -16_000]
    unknown = coming.with_pending(Pending("H3", Decimal(1_000)))
    assert [net_towards(unknown, side) for side in SIDES] == [21_000, -15_000]
    limits = tight(net_exposure_fraction_max=0.24)
    assert told(judge(plan(100), around(unknown, limits))) == ("shrink", 60, ["C9c"])
    assert judge(short(100), around(unknown, limits)).ruling == "approve"


@pytest.mark.control("C19b")
@pytest.mark.parametrize(("target", "allowed"), [("100.00", 10), ("100.01", 0), ("520.00", 0), ("0.01", 0)])
def test_a_target_beyond_twice_the_entry_is_a_slip_of_a_digit(target: str, allowed: int) -> None:
    assert judge(plan(10, target=target), around()).quantity == allowed
