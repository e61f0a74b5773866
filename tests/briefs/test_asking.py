"""Asking the analysts through the port: one answer for each question, evidence from the lake, abstentions kept apart."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.execution.world import BEFORE_OPEN, YEAR, market, sessions
from trading_assets.briefs.asking import ask_briefs
from trading_assets.briefs.facts import FactBook, Facts
from trading_assets.briefs.model import Brief
from trading_assets.briefs.questions import questions_at, rules_briefs
from trading_assets.briefs.roles import BreadthInputs, Opinion, Reading, uncited
from trading_assets.briefs.rows import brief_rows, briefs_from_rows
from trading_assets.core.calendar import Session
from trading_assets.core.errors import DataNotReady
from trading_assets.reasoning.model import Abstention, Answer, Budget, In, Out, Role, Usage


class Members:
    """A reasoner that asks the rules members; every nth question is left unanswered, and all budgets are kept."""

    def __init__(self, silent_every: int = 0, said: Opinion | None = None) -> None:
        self.silent_every = silent_every
        self.said = said
        self.budgets: list[Budget] = []

    def ask(
        self,
        role: Role[In, Out],
        inputs: In,
        *,
        budget: Budget,
        as_of: datetime,  # noqa: ARG002 - the port's
    ) -> Answer[Out] | Abstention:
        self.budgets.append(budget)
        if self.silent_every and len(self.budgets) % self.silent_every == 0:
            return Abstention("nobody answered")
        value: Any = self.said or (role.rules(inputs) if role.rules else None)
        return Answer(
            value, "anthropic", "m-1", "s", "p", "key-1", Usage(), Decimal(0), Decimal(0), 1, cached=False, leakage="unknown"
        )  # fmt: skip

    def ask_many(
        self,
        role: Role[In, Out],
        questions: Sequence[In],
        *,
        budget: Budget | Sequence[Budget],
        as_of: Sequence[datetime],
    ) -> Sequence[Answer[Out] | Abstention]:
        budgets = [budget] * len(questions) if isinstance(budget, Budget) else budget
        asked = zip(questions, budgets, as_of, strict=True)
        return [self.ask(role, inputs, budget=each, as_of=moment) for inputs, each, moment in asked]


def budget_of(session: Session) -> Budget:
    return Budget("backtest", f"backtest/{session.key}/briefs", session.day, ())


@pytest.fixture(scope="module")
def facts() -> dict[Session, Facts]:
    book = FactBook(market().frames)
    return {session: book.at(session.open - BEFORE_OPEN) for session in sessions(YEAR)[:20]}


def test_answers_of_the_rules_members_are_the_rules_briefs(facts: dict[Session, Facts]) -> None:
    rows = ask_briefs(Members(), facts, budget_of).rows
    expected = [row for session, known in facts.items() for row in brief_rows(rules_briefs(known), session.day)]
    ours = {"route", "model", "leakage", "answer_key"}
    assert [{k: v for k, v in row.items() if k not in ours} for row in rows] == [
        {k: v for k, v in row.items() if k not in ours} for row in expected
    ]
    assert {tuple(row[k] for k in sorted(ours)) for row in rows} == {("key-1", "unknown", "m-1", "anthropic")}


def test_each_question_is_paid_from_its_own_sessions_budget(facts: dict[Session, Facts]) -> None:
    members = Members()
    ask_briefs(members, facts, budget_of)
    asked = [f"backtest/{s.key}/briefs" for s, known in facts.items() for _ in questions_at(known)]
    assert sorted(b.decision for b in members.budgets) == sorted(asked)


def test_who_does_not_answer_has_no_brief_and_is_named(facts: dict[Session, Facts]) -> None:
    asked = ask_briefs(Members(silent_every=3), facts, budget_of)
    questions = sum(len(questions_at(known)) for known in facts.values())
    assert len(asked.abstentions) == questions // 3
    assert len(asked.rows) == questions - questions // 3
    spoken = {(row["session"], row["agent"], row["symbol"]) for row in asked.rows}
    days = {session.open - BEFORE_OPEN: session.day for session in facts}
    assert not spoken & {(days[q.as_of], q.agent, q.symbol) for q, _ in asked.abstentions}


def test_a_session_without_facts_is_refused_before_anybody_is_asked(facts: dict[Session, Facts]) -> None:
    session = next(iter(facts))
    members = Members()
    with pytest.raises(DataNotReady, match="no facts before"):
        ask_briefs(members, {**facts, session: Facts(session.open, None, {}, None, None)}, budget_of)
    assert members.budgets == []


def test_a_models_citation_becomes_the_row_that_it_names(facts: dict[Session, Facts]) -> None:
    session, known = next(iter(facts.items()))
    said = Opinion(signal=0.1, confidence=0.9, reasons=("because",), evidence=("r1",))
    for brief in briefs_from_rows(ask_briefs(Members(said=said), {session: known}, budget_of).rows):
        assert len(brief.evidence) == 1
        cited = brief.evidence[0]
        row = known.breadth if brief.agent == "breadth" else known.symbols[brief.symbol].indicators
        assert row is not None
        assert cited.value == row[cited.column]


@pytest.fixture
def inputs() -> BreadthInputs:
    reading = Reading(id="r1", table="breadth", column="advances", session=date(2024, 3, 1), value=3.0)
    return BreadthInputs(session=date(2024, 3, 1), readings=(reading,))


@pytest.mark.fault(95)
@settings(deadline=None)
@given(st.lists(st.from_regex(r"[a-z][0-9]{1,3}", fullmatch=True), min_size=1, max_size=12))
def test_only_readings_that_were_given_can_be_cited(cited: list[str]) -> None:
    reading = Reading(id="r1", table="breadth", column="advances", session=date(2024, 3, 1), value=3.0)
    given_ = BreadthInputs(session=date(2024, 3, 1), readings=(reading,))
    complaint = uncited(given_, Opinion(signal=0, confidence=0, reasons=("x",), evidence=tuple(cited)))
    assert (complaint is None) == (set(cited) == {"r1"})


def test_the_complaint_names_what_was_cited_and_what_may_be(inputs: BreadthInputs) -> None:
    opinion = Opinion(signal=0, confidence=0, reasons=("x",), evidence=("r1", "z9"))
    assert uncited(inputs, opinion) == "evidence z9 was not given; cite only r1"


def test_ids_stay_with_their_columns_when_others_are_missing(facts: dict[Session, Facts]) -> None:
    """A prompt that was recorded keeps its meaning: p2 is the 50-session mean whether or not the 200-session mean exists."""
    columns: dict[str, set[str]] = {}
    for known in facts.values():
        for question in questions_at(known):
            for id_, evidence in question.citations.items():
                columns.setdefault(f"{question.agent} {id_}", set()).add(evidence.column)
    assert all(len(names) == 1 for names in columns.values())


def test_a_brief_says_by_itself_who_reasoned() -> None:
    assert {"route", "model", "leakage", "answer_key"} <= set(Brief.model_fields)
