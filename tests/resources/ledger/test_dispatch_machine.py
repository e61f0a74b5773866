"""Random lives of intents against a model: whatever is asked in any order, the ledger goes allowed ways only and counts once."""

import tempfile
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import open_ledger
from resources.ledger.store import SqlLedger
from tests.resources.ledger.dispatching import (
    CLIENT,
    NOW,
    Desk,
    executed,
    leg_changed,
    legs_of,
    proposed,
    seals_on,
    veto_of,
)
from trading_assets.broker.lifecycle import AT_BROKER, LEG_ENDED, WAYS, Change, IntentChanged
from trading_assets.core.errors import DeskError
from trading_assets.execution.ports import Intent
from trading_assets.signatures.model import SIGNERS

pytestmark = pytest.mark.slow

STATES = sorted(AT_BROKER | {"FILLED", "CANCELLED", "REJECTED", "ABANDONED"})
LEG_STATES = ["held", "working", "pending_cancel", *sorted(LEG_ENDED)]
ROLES = ("entry", "stop", "target")
NUMBERS = st.integers(0, 3)


class Machine(RuleBasedStateMachine):
    """Four intents, their gateway, a broker that says anything, and an operator."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.engine = open_ledger(Path(self.folder.name) / "desk.sqlite", durability="NORMAL")
        self.desk = Desk(self.engine)
        self.intents = proposed(self.engine, "AAA", "BBB", "CCC", "DDD")
        self.states: dict[str, str] = {wanted.id: "PROPOSED" for wanted in self.intents}
        self.seals: dict[str, set[str]] = {wanted.id: set() for wanted in self.intents}
        self.filled: dict[str, dict[str, int]] = {wanted.id: {} for wanted in self.intents}
        self.told: list[list[Change]] = []
        self.halted: list[str] = []

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            assert self.desk.problems() == ()
            self.engine.dispose()
            self.folder.cleanup()

    def goes(self, wanted: Intent, state: str, *, allowed: bool, refusal: type[DeskError] | None) -> None:
        """What the model says of a step that was taken, or refused."""
        assert allowed == (refusal is None), (self.states[wanted.id], state, refusal)
        if allowed:
            self.states[wanted.id] = state

    @rule(number=NUMBERS, signers=st.lists(st.sampled_from(SIGNERS), min_size=1, max_size=3))
    def seal(self, number: int, signers: list[str]) -> None:
        wanted = self.intents[number]
        mine = self.seals[wanted.id]
        allowed = self.states[wanted.id] == "PROPOSED" and len(set(signers)) == len(signers) and not mine & set(signers)
        refusal = self.refused(lambda: self.desk.store.seal(seals_on(wanted, signers), as_of=NOW))
        assert allowed == (refusal is None)
        if allowed:
            mine |= set(signers)
            self.states[wanted.id] = "SIGNED" if mine == set(SIGNERS) else "PROPOSED"

    def refused(self, act: object) -> type[DeskError] | None:
        try:
            act()  # type: ignore[operator]
        except DeskError as refusal:
            return type(refusal)
        return None

    @rule(number=NUMBERS)
    def accept(self, number: int) -> None:
        wanted = self.intents[number]
        refusal = self.refused(lambda: self.desk.store.accept(wanted.id, token=self.desk.token, as_of=NOW))
        self.goes(wanted, "INTENT", allowed=self.states[wanted.id] == "SIGNED", refusal=refusal)

    @rule(number=NUMBERS, fresh=st.booleans())
    def submit(self, number: int, fresh: bool) -> None:
        wanted = self.intents[number]
        token = self.desk.token if fresh else self.desk.token - 1
        legs = legs_of(wanted, 10 * number + 1)
        refusal = self.refused(lambda: self.desk.store.submit(wanted.id, legs, token=token, as_of=NOW))
        allowed = fresh and self.states[wanted.id] == "INTENT" and not self.halted
        self.goes(wanted, "SUBMITTING", allowed=allowed, refusal=refusal)

    @rule(number=NUMBERS, veto=st.booleans())
    def end(self, number: int, veto: bool) -> None:
        wanted = self.intents[number]
        state = "VETOED" if veto else "EXPIRED"
        store = self.desk.store
        refusal = self.refused(
            lambda: (
                store.refuse(wanted.id, veto_of(wanted), as_of=NOW) if veto else store.expire(wanted.id, "", as_of=NOW)
            )
        )
        before = self.states[wanted.id]
        self.goes(wanted, state, allowed=before in {"PROPOSED", "SIGNED", "INTENT", state}, refusal=refusal)

    @precondition(lambda self: any(state in AT_BROKER for state in self.states.values()))
    @rule(
        number=NUMBERS,
        words=st.lists(
            st.one_of(
                st.tuples(st.just("leg"), st.sampled_from(ROLES), st.sampled_from(LEG_STATES)),
                st.tuples(st.just("intent"), st.just(""), st.sampled_from(STATES)),
                st.tuples(st.just("fill"), st.sampled_from(ROLES), st.sampled_from(["1", "2", "3"])),
            ),
            max_size=5,
        ),
    )
    def hear(self, number: int, words: list[tuple[str, str, str]]) -> None:
        wanted = self.intents[number]
        if self.states[wanted.id] not in AT_BROKER:
            return
        changes: list[Change] = []
        for kind, role, value in words:
            if kind == "leg":
                changes.append(leg_changed(wanted, role, value))
            elif kind == "intent":
                changes.append(IntentChanged(wanted.id, value))  # type: ignore[arg-type]
            else:
                changes.append(executed(wanted, f"{wanted.id}/{role}/{value}", value, role=role))
                self.filled[wanted.id][f"{role}/{value}"] = int(value)
        self.desk.apply(*changes)
        self.told.append(changes)
        self.states[wanted.id] = _after(
            self.states[wanted.id], [c.state for c in changes if isinstance(c, IntentChanged)]
        )
        assert [c for c in self.desk.apply(*changes) if not isinstance(c, IntentChanged)] == []

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def hear_fills_again(self, data: st.DataObject) -> None:
        """Executions that were told before, in any order and from any time."""
        from trading_assets.broker.lifecycle import Booked

        fills = [change for changes in self.told for change in changes if isinstance(change, Booked)]
        assert self.desk.apply(*data.draw(st.permutations(fills))) == []

    @rule(cause=st.sampled_from(["one", "two"]))
    def halt(self, cause: str) -> None:
        self.desk.store.halt(cause, as_of=NOW)
        if cause not in self.halted:
            self.halted.append(cause)

    @precondition(lambda self: self.halted)
    @rule()
    def resume(self) -> None:
        with SqlLedger(self.engine, "desk").session() as ledger:
            ledger.acknowledge(self.desk.store.halts()[0].id, "seen", as_of=NOW)
        self.halted.pop(0)

    @rule()
    def begin_anew(self) -> None:
        """Another gateway takes over: it knows what the one before knew."""
        before = self.desk.store.known()
        self.desk.token = self.desk.grant()
        self.desk.store = SqlDispatch(self.engine, "desk", client_id=CLIENT)
        assert self.desk.store.known() == before

    @invariant()
    def ledger_is_as_the_model(self) -> None:
        if not hasattr(self, "desk"):
            return
        assert {wanted.id: self.desk.state(wanted) for wanted in self.intents} == self.states
        assert [halt.cause for halt in self.desk.store.halts()] == self.halted
        known = self.desk.store.known()
        for wanted in self.intents:
            fills = self.filled[wanted.id]
            bought = sum(n for name, n in fills.items() if name.startswith("entry"))
            sold = sum(n for name, n in fills.items() if not name.startswith("entry"))
            assert known.position(wanted.plan.symbol) == Decimal(bought - sold)
            past = self.desk.past(wanted)
            assert all(after in WAYS[before] for before, after in pairwise(past))


def _after(state: str, told: list[str]) -> str:
    """The state after a list: what leads up to the present state is passed by, what is no way is passed over."""
    if state in told:
        told = told[len(told) - told[::-1].index(state) :]
    for each in told:
        if each in WAYS[state]:  # type: ignore[index]
            state = each
    return state


Machine.TestCase.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
TestLives = Machine.TestCase
