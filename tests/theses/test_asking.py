"""The two rounds before the open: who is debated, what is kept of silence, and what a person is told."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from tests.cycle.worlds import BEFORE_OPEN, SYMBOLS, busy_slot, desk_rules, frames
from tests.execution.world import nothing_to_spend
from trading_assets.briefs.facts import FactBook, Facts
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.core.errors import DataNotReady
from trading_assets.reasoning.baseline import RulesReasoner, by_rules
from trading_assets.reasoning.model import Abstention, Answer, Ask, Attempt
from trading_assets.reasoning.ports import Reasoner
from trading_assets.theses.asking import Thought, ask_opinions, candidates_of
from trading_assets.theses.model import DEBATES, SILENCES, STANCES

FAILED = (Attempt("anthropic", "claude-haiku-5-5", "timeout: no answer within 30 s"),)


class Lost(RulesReasoner):
    """Some agents do not answer: nobody does, or the rules do after a model failed."""

    def __init__(self, silent: Sequence[str], replaced: Sequence[str] = ()) -> None:
        self._silent = set(silent)
        self._replaced = set(replaced)

    def gather(
        self, asks: Sequence[Ask[Any, Any]], *, within: timedelta | None = None
    ) -> Sequence[Answer[Any] | Abstention]:
        """Silence for some, the rules' answer for all others."""
        del within
        return [self._said(ask) for ask in asks]

    def _said(self, ask: Ask[Any, Any]) -> Answer[Any] | Abstention:
        if ask.role.skill in self._silent:
            return Abstention("nobody answered", FAILED)
        said = by_rules(ask.role, ask.inputs)
        if ask.role.skill in self._replaced and isinstance(said, Answer):
            fields = {name: getattr(said, name) for name in Answer.__dataclass_fields__}
            return Answer(**{**fields, "failed": FAILED})
        return said


def facts() -> Facts:
    return FactBook(frames()).at(busy_slot().session.open - BEFORE_OPEN)


def asked(reasoner: Reasoner, **changed: Any) -> Thought:
    return ask_opinions(
        reasoner,
        {busy_slot().session: facts()},
        nothing_to_spend,
        agents=desk_rules().agents.model_copy(update=changed),
        strategies=desk_rules().settings.decisions.strategies,
        skills=None,
    )


def brief(symbol: str, signal: float, confidence: float) -> Brief:
    return Brief(
        agent="technical",
        symbol=symbol,
        as_of=facts().as_of,
        signal=signal,
        confidence=confidence,
        reasons=("-",),
        evidence=(Evidence(table="indicators", session=date(2012, 3, 28), symbol=symbol, column="close", value=1.0),),
        route="rules",
    )


def test_the_symbols_on_which_analysts_feel_most_strongly_are_debated_whatever_the_sign() -> None:
    briefs = [brief(SYMBOLS[5], -0.9, 0.9), brief(SYMBOLS[2], 0.5, 0.5), brief(SYMBOLS[0], 1.0, 0.1)]
    assert candidates_of(facts(), briefs, most=2) == (SYMBOLS[2], SYMBOLS[5])
    assert candidates_of(facts(), briefs, most=50) == tuple(sorted(facts().symbols))


def test_no_more_symbols_are_debated_than_the_settings_say() -> None:
    thought = asked(RulesReasoner(), candidates_max=3)
    assert len({row["symbol"] for row in thought.rows[DEBATES.name]}) == 3


def test_in_rules_mode_nobody_is_silent() -> None:
    thought = asked(RulesReasoner())
    assert thought.rows[SILENCES.name] == []
    assert thought.cost_usd == 0


def test_an_agent_that_nobody_answered_for_is_kept_as_a_silence_and_leaves_no_row() -> None:
    thought = asked(Lost(["chief", "bear-researcher"]))
    assert thought.rows[STANCES.name] == []
    assert {row["side"] for row in thought.rows[DEBATES.name]} == {"bull"}
    kept = {row["agent"]: (row["answered_by"], row["reason"]) for row in thought.rows[SILENCES.name]}
    told = "anthropic claude-haiku-5-5: timeout: no answer within 30 s"
    assert kept == {"chief": ("", told), "bear-researcher": ("", told)}
    assert thought.told(STANCES)["abstentions"] == 2


def test_an_agent_that_the_rules_stood_in_for_is_kept_with_who_answered() -> None:
    thought = asked(Lost([], replaced=["chief", "technical-analyst"]))
    kept = {row["agent"]: row["answered_by"] for row in thought.rows[SILENCES.name]}
    assert kept == {"chief": "rules", "technical": "rules"}
    assert len(thought.rows[STANCES.name]) == 1
    frame = SILENCES.frame(thought.rows[SILENCES.name])
    assert frame["symbol"].to_list().count("MARKET") == 1


def test_a_session_without_facts_is_refused_before_anybody_is_asked() -> None:
    nothing = Facts(facts().as_of, None, {}, None, None)
    with pytest.raises(DataNotReady):
        ask_opinions(
            Lost(["technical-analyst"]),
            {busy_slot().session: nothing},
            nothing_to_spend,
            agents=desk_rules().agents,
            strategies=("pullback",),
            skills=None,
        )
