"""The desk learns after its close: standings, switches, proposals and the monthly study, on a small home of its own."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from shutil import copytree
from typing import Any

import dagster as dg
import pytest
import yaml

from resources.desk import DESK, DeskResource
from tests.evaluation.books import bars, day, rows, trade_row
from tests.evaluation.pasts import idea, walk
from tests.evaluation.test_proposals_counted import JUST_MISSED, STRAIGHT
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.parameters import Suggestion, effective_from
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home
from trading_assets.evaluation.learning.assets import learning_assets, move_switches
from trading_assets.evaluation.learning.model import PARAMETER_STUDY, STRATEGY_STANDINGS
from trading_assets.execution.model import TRADES
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.ports import Decision, Intent
from trading_assets.market.model import DAILY_BARS
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import SIGNERS, Verdict

COUNT, LAST = 34, 40
CLOSED = XNYS.session(day(LAST)).close + timedelta(minutes=20)


def decided(plan: TradePlan) -> Intent:
    """The plan as one decision of the desk's ledger."""
    approved = Verdict(
        signer=SIGNERS[0],
        plan_id=plan.id,
        plan_digest=plan.digest,
        ruling="approve",
        quantity=plan.quantity,
        breaches=(),
    )
    intent = intent_for(plan, approved, book=DESK, limits_hash="")
    decision = Decision(plan.session, plan.slot, plan.as_of, "ACTIVE", "1 plans", 1, 0, "")
    with DeskResource().ledger(DESK).session() as ledger:
        ledger.add_decision(decision, [(plan, approved)], [intent], orders_of(intent))
    return intent


def lived(home: Home, *, winners: int = 6) -> None:
    """Trades that mostly missed their target by a step and ended at their stop; the first ones won."""
    del home
    plans = [idea(n, f"S{n:03d}", stop=Decimal("96.50"), regime="range") for n in range(1, COUNT + 1)]
    ways = [STRAIGHT if n < winners else JUST_MISSED for n in range(COUNT)]
    told: list[dict[str, Any]] = []
    for n, (plan, way) in enumerate(zip(plans, ways, strict=True), 1):
        pnl, reason = (64, "target") if way is STRAIGHT else (-35, "stop")
        fields = {"symbol": plan.symbol, "strategy": plan.strategy, "regime": "range", "side": "long", "opened": day(n)}
        told.append(trade_row(n + len(way) - 1, pnl, trade_id=decided(plan).id, exit_reason=reason, **fields))
    lake, span = DeskResource().lake(), Span(day(1), day(LAST))
    lake.write(TRADES, rows(TRADES, told), span, lane=DESK)
    days = [row for n, (plan, way) in enumerate(zip(plans, ways, strict=True), 1) for row in walk(plan.symbol, n, *way)]
    lake.write(DAILY_BARS, bars(*days), span)


def configured(monkeypatch: pytest.MonkeyPatch, root: Path, **files: dict[str, Any]) -> None:
    """The project's configuration with some values replaced."""
    copytree(PROJECT / "config", root / "config")
    for name, values in files.items():
        path = root / "config" / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}))
    monkeypatch.setenv("DESK_CONFIG", str(root / "config"))


@pytest.fixture(autouse=True)
def _desk(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DESK_CLOCK", CLOSED.isoformat())
    configured(monkeypatch, tmp_path / "usual", parameters={"stop_atr": 1.75})
    lived(home)


def made(*names: str, session: int = LAST) -> dict[str, Any]:
    """Materializes assets of a session and gives the metadata of each by name."""
    chosen: Sequence[Any] = [dg.AssetKey([DESK, name]) for name in names]
    result = dg.materialize(
        learning_assets(), partition_key=day(session).isoformat(), resources={"desk": DeskResource()}, selection=chosen
    )
    events = result.get_asset_materialization_events()
    return {e.materialization.asset_key.path[-1]: e.materialization.metadata for e in events}


def next_parameters() -> Any:
    return DeskResource().rules(DESK).parameters(effective_from(CLOSED))


def test_a_strategy_that_lost_is_switched_off_on_paper_from_the_next_session_on() -> None:
    made("strategy_standings")
    assert next_parameters().switched_off == ("momentum_breakout@range",)
    assert DeskResource().rules(DESK).parameters(day(LAST)).switched_off == ()
    (row,) = DeskResource().lake().read(STRATEGY_STANDINGS, as_of=CLOSED, lane=DESK).rows(named=True)
    assert (row["word"], row["trades"], row["withheld"]) == ("switch off", 30, 0)
    (change,) = DeskResource().proposals().moved()
    assert (change.origin, change.from_session) == ("monitor", day(LAST + 1))


def test_looking_again_switches_nothing_a_second_time() -> None:
    made("strategy_standings")
    made("strategy_standings")
    assert len(DeskResource().proposals().moved()) == 1


def test_an_older_session_is_judged_and_moves_nothing() -> None:
    made("strategy_standings", "parameter_proposals", "parameter_study", session=LAST - 1)
    book = DeskResource().proposals()
    assert (book.moved(), book.proposals()) == ((), ())


@pytest.mark.parametrize("mode", ["live", "unknown"])
def test_with_real_money_a_switch_is_a_proposal(mode: str) -> None:
    book, off = DeskResource().proposals(), ("momentum_breakout@range",)
    wanted = Suggestion("switched_off", (), off, "it lost", {}, 30)
    told = move_switches(book, wanted, mode, session=day(LAST), days_open=10, as_of=CLOSED)
    assert told == "proposed: it lost"
    assert book.moved() == ()
    (found,) = book.proposals()
    assert (found.name, found.after, found.origin) == ("switched_off", [*off], "monitor")
    book.answer(found.id, "approved", who="operator", reason="I see it too", as_of=CLOSED)
    assert next_parameters().switched_off == off


def test_what_the_record_supports_is_proposed_with_its_evidence_and_moves_nothing() -> None:
    told = made("strategy_standings", "parameter_proposals")["parameter_proposals"]
    assert told["trades"].value == COUNT
    found = {each.name: each for each in DeskResource().proposals().proposals()}
    assert (found["target_atr"].before, found["target_atr"].after) == (3.2, 2.8)
    assert found["target_atr"].evidence["tried"] == told["tried"].value
    assert found["target_atr"].evidence["chosen_by"]["route"] == "rules"
    assert next_parameters().target_atr == 3.2


def test_automatic_applies_it_on_paper_with_the_reason_on_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configured(monkeypatch, tmp_path / "auto", learning={"automatic": True}, parameters={"stop_atr": 1.75})
    made("strategy_standings", "parameter_proposals")
    assert next_parameters().target_atr == 2.8
    (change,) = [each for each in DeskResource().proposals().moved() if each.name == "target_atr"]
    assert change.origin == "automatic"
    assert "closed trades would have gained" in change.reason


def test_automatic_is_refused_where_real_money_is_traded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configured(monkeypatch, tmp_path / "auto", learning={"automatic": True}, execution={"mode": "live", "broker": "ib"})
    monkeypatch.delenv("DESK_CLOCK")
    with pytest.raises(ConfigurationError, match="paper desk only"):
        DeskResource().rules(DESK)


def test_the_monthly_study_keeps_every_trial_and_proposes_a_step() -> None:
    made("parameter_study")
    frame = DeskResource().lake().read(PARAMETER_STUDY, as_of=CLOSED, lane=DESK)
    assert frame.height == frame["tried"][0] > 10
    assert {each.origin for each in DeskResource().proposals().proposals()} == {"study"}


def test_a_backtest_runs_by_what_is_configured_unless_it_is_asked_to_follow_the_desk() -> None:
    made("strategy_standings")
    desk, start = DeskResource(), effective_from(CLOSED)
    assert desk.rules("backtest").parameters(start).switched_off == ()
    assert desk.rules("backtest", as_desk=True).parameters(start).switched_off == ("momentum_breakout@range",)


def test_a_desk_without_a_record_learns_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DESK_HOME", str(tmp_path / "empty"))
    told = made("strategy_standings", "parameter_proposals", "parameter_study")
    assert told["parameter_proposals"]["tried"].value == 0
    assert DeskResource().proposals().proposals() == ()
