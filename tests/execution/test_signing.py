"""Three signatures: the least that any signer allows, nothing unless all three spoke, and pairs as one."""

import pytest

from tests.signatures.gated import leaving, plan
from trading_assets.execution.signing import Ruled, ruled
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Signer, Verdict


def verdict(signer: Signer, on: TradePlan, quantity: int) -> Verdict:
    return Verdict(
        signer=signer,
        plan_id=on.id,
        plan_digest=on.digest,
        ruling="approve" if quantity == on.quantity else "shrink" if quantity else "veto",
        quantity=quantity,
        breaches=(),
    )


def approving(on: TradePlan) -> tuple[Verdict, Verdict]:
    return verdict("fact_checker", on, on.quantity), verdict("double_checker", on, on.quantity)


def test_what_all_three_allow_may_be_traded_and_no_more() -> None:
    asked = plan(quantity=100)
    (each,) = ruled([(asked, verdict("risk_gate", asked, 60))], approving)
    assert each.quantity == 60
    assert [told.signer for _, told in each.judged] == ["risk_gate", "fact_checker", "double_checker"]


@pytest.mark.control("C2")
@pytest.mark.parametrize("refuser", [0, 1])
def test_each_of_the_other_two_can_veto(refuser: int) -> None:
    asked = plan(quantity=100)

    def check(on: TradePlan) -> tuple[Verdict, Verdict]:
        quantities = [0 if refuser == place else on.quantity for place in range(2)]
        return verdict("fact_checker", on, quantities[0]), verdict("double_checker", on, quantities[1])

    (each,) = ruled([(asked, verdict("risk_gate", asked, 100))], check)
    assert each.quantity == 0


def test_what_the_gate_refuses_nobody_else_is_asked_about() -> None:
    asked = plan()
    (each,) = ruled([(asked, verdict("risk_gate", asked, 0))], lambda _: pytest.fail("asked"))
    assert (each.quantity, len(each.verdicts)) == (0, 1)


@pytest.mark.control("C2")
def test_a_plan_that_lacks_a_signer_or_has_one_twice_is_worth_nothing() -> None:
    asked = plan()
    gate, fact, double = verdict("risk_gate", asked, asked.quantity), *approving(asked)
    for verdicts in [(gate,), (gate, fact), (gate, fact, fact), (fact, double), (double, double, double)]:
        assert Ruled(asked, verdicts).quantity == 0
    assert Ruled(asked, (gate, fact, double)).quantity == asked.quantity


def test_a_pair_of_which_one_leg_is_refused_does_not_trade() -> None:
    legs = [plan(symbol=symbol, pair="AAA/BBB") for symbol in ("AAA", "BBB")]

    def check(on: TradePlan) -> tuple[Verdict, Verdict]:
        return verdict("fact_checker", on, 0 if on.symbol == "BBB" else on.quantity), approving(on)[1]

    first, second = ruled([(leg, verdict("risk_gate", leg, leg.quantity)) for leg in legs], check)
    assert (first.quantity, second.quantity) == (0, 0)
    (said,) = first.verdicts[-1].sentences
    assert "AAA/BBB" in said
    assert "the other leg" in said


def test_the_exits_of_a_pair_do_not_wait_for_each_other() -> None:
    exits = [leaving().model_copy(update={"pair": "AAA/BBB", "symbol": symbol}) for symbol in ("AAA", "BBB")]

    def check(on: TradePlan) -> tuple[Verdict, Verdict]:
        return verdict("fact_checker", on, 0 if on.symbol == "BBB" else on.quantity), approving(on)[1]

    first, second = ruled([(each, verdict("risk_gate", each, each.quantity)) for each in exits], check)
    assert (first.quantity, second.quantity) == (exits[0].quantity, 0)
