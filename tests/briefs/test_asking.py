"""Asking the analysts through the port: one gather for everything, evidence from the lake, silence kept apart."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.briefs.documents import AS_OF, TODAY, daily, facts_of, past_sessions, told
from trading_assets.briefs.asking import BEFORE_OPEN, Heard, ask_analysts, posed_at
from trading_assets.briefs.facts import Facts
from trading_assets.briefs.model import Brief
from trading_assets.briefs.narratives.rows import narrative_rows
from trading_assets.briefs.questions import roles_at, rules_briefs
from trading_assets.briefs.roles import BreadthInputs, Opinion, Reading, uncited
from trading_assets.briefs.rows import brief_rows, briefs_from_rows
from trading_assets.briefs.settings import AgentsSettings, Analyst, load_agents
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import DataNotReady
from trading_assets.core.settings import PROJECT
from trading_assets.reasoning.baseline import RulesReasoner, by_rules
from trading_assets.reasoning.model import Abstention, Answer, Ask, Attempt, Budget, Usage

AGENTS = load_agents(PROJECT / "config")


class Members(RulesReasoner):
    """A reasoner that says what it is told to say, or what the rules say; every nth question is left unanswered."""

    def __init__(self, silent_every: int = 0, said: Opinion | None = None) -> None:
        self.silent_every = silent_every
        self.said = said
        self.gathered: list[Sequence[Ask[Any, Any]]] = []
        self.within: list[timedelta | None] = []

    def gather(
        self, asks: Sequence[Ask[Any, Any]], *, within: timedelta | None = None
    ) -> Sequence[Answer[Any] | Abstention]:
        self.gathered.append(asks)
        self.within.append(within)
        return [self._answer(number, ask) for number, ask in enumerate(asks, 1)]

    def _answer(self, number: int, ask: Ask[Any, Any]) -> Answer[Any] | Abstention:
        if self.silent_every and number % self.silent_every == 0:
            return Abstention("nobody answered")
        value = self.said if self.said and ask.role.output is Opinion else ask.role.rules and ask.role.rules(ask.inputs)
        return Answer(
            value, "anthropic", "m-1", "s", "p", "key-1", Usage(), Decimal("0.001"), Decimal(0), 1, cached=False,
            leakage="unknown", failed=(Attempt("openai", "m-0", "slow"),),
        )  # fmt: skip


def budget_of(session: Session) -> Budget:
    return Budget("backtest", f"backtest/{session.key}/briefs", session.day, ())


def ask(members: RulesReasoner, facts: dict[Session, Facts], **options: Any) -> Heard:
    return ask_analysts(members, facts, budget_of, agents=AGENTS, **options)


def rows_of(heard: Heard) -> list[dict[str, object]]:
    return [row for session, briefs in heard.briefs.items() for row in brief_rows(briefs, session.day)]


@pytest.fixture(scope="module")
def facts() -> dict[Session, Facts]:
    return past_sessions()


@pytest.fixture(scope="module")
def told_facts() -> dict[Session, Facts]:
    """One session with news and macro series, but no indicators."""
    rows = [told("Maker may win a contract, sources say"), told("Exchange changes its hours", symbol="MARKET")]
    return {TODAY: facts_of(news=rows, macro_series=daily("SP500", {15: 0.1}))}


def test_answers_of_the_rules_members_are_the_rules_briefs(facts: dict[Session, Facts]) -> None:
    rows = rows_of(ask(Members(), facts))
    expected = [row for session, known in facts.items() for row in brief_rows(rules_briefs(known), session.day)]
    ours = {"route", "model", "leakage", "answer_key"}
    assert [{k: v for k, v in row.items() if k not in ours} for row in rows] == [
        {k: v for k, v in row.items() if k not in ours} for row in expected
    ]
    assert {tuple(row[k] for k in sorted(ours)) for row in rows} == {("key-1", "unknown", "m-1", "anthropic")}


def test_everything_is_asked_at_once(facts: dict[Session, Facts]) -> None:
    members = Members()
    ask(members, facts, within=timedelta(seconds=3))
    assert len(members.gathered) == 1
    assert members.within == [timedelta(seconds=3)]
    assert {a.role.skill for a in members.gathered[0]} == {"technical-analyst", "breadth-analyst"}


def test_each_question_is_paid_from_its_own_sessions_budget_and_asked_as_of_its_own_moment(
    facts: dict[Session, Facts],
) -> None:
    members = Members()
    ask(members, facts)
    posed = posed_at(facts, roles_at(AGENTS, None))
    assert [a.budget.decision for a in members.gathered[0]] == [f"backtest/{p.session.key}/briefs" for p in posed]
    assert [a.as_of for a in members.gathered[0]] == [p.session.open - BEFORE_OPEN for p in posed]
    assert [p.session for p in posed] == sorted(p.session for p in posed)


def test_questions_by_symbol_may_share_a_prompt_and_those_of_the_market_stand_alone() -> None:
    panels = {each.role.skill: each.role.panel for each in roles_at(AGENTS, None)}
    assert panels == {
        "technical-analyst": True,
        "breadth-analyst": False,
        "news-analyst": True,
        "macro-analyst": False,
        "narrative-analyst": True,
    }


def test_who_does_not_answer_has_no_brief_and_is_named(facts: dict[Session, Facts]) -> None:
    heard = ask(Members(silent_every=3), facts)
    questions = len(posed_at(facts, roles_at(AGENTS, None)))
    assert len(heard.abstentions) == questions // 3
    assert sum(map(len, heard.briefs.values())) == questions - questions // 3
    spoken = {(session, brief.agent, brief.symbol) for session, briefs in heard.briefs.items() for brief in briefs}
    assert not spoken & {(p.session, p.analyst.agent, p.question.symbol) for p, _ in heard.abstentions}
    assert heard.told["abstentions"] == questions // 3
    assert "technical: nobody answered" in str(heard.told["why_abstained"])


def test_the_cost_is_the_sum_of_the_answers(facts: dict[Session, Facts]) -> None:
    heard = ask(Members(silent_every=2), facts)
    assert heard.cost_usd == Decimal("0.001") * sum(map(len, heard.briefs.values()))
    assert heard.told["cost_usd"] == str(heard.cost_usd)


def test_a_session_without_facts_is_refused_before_anybody_is_asked(facts: dict[Session, Facts]) -> None:
    session = next(iter(facts))
    members = Members()
    with pytest.raises(DataNotReady, match="no facts before"):
        ask(members, {**facts, session: Facts(session.open, None, {}, None, None)})
    assert members.gathered == []


def test_a_models_citation_becomes_the_row_that_it_names(facts: dict[Session, Facts]) -> None:
    session, known = next(iter(facts.items()))
    said = Opinion(signal=0.1, confidence=0.9, reasons=("because",), evidence=("r1",))
    for brief in briefs_from_rows(rows_of(ask(Members(said=said), {session: known}))):
        assert len(brief.evidence) == 1
        cited = brief.evidence[0]
        row = known.breadth if brief.agent == "breadth" else known.symbols[brief.symbol].indicators
        assert row is not None
        assert cited.value == row[cited.column]


def test_narratives_are_kept_as_such_and_speak_as_briefs(told_facts: dict[Session, Facts]) -> None:
    heard = ask(RulesReasoner(), told_facts)
    assert [(n.symbol, n.edge) for n in heard.narratives[TODAY]] == [("AAA", "medium"), ("MARKET", "none")]
    spoken = [(brief.agent, brief.symbol) for brief in heard.briefs[TODAY]]
    assert spoken == [
        ("news", "AAA"),
        ("news", "MARKET"),
        ("macro", "MARKET"),
        ("narrative", "AAA"),
        ("narrative", "MARKET"),
    ]
    assert narrative_rows(heard.narratives[TODAY])[0]["session"] == TODAY.day
    assert heard.told["narratives"] == 2


def test_a_silent_narrative_analyst_tells_nothing(told_facts: dict[Session, Facts]) -> None:
    heard = ask(Members(silent_every=1), told_facts)
    assert heard.briefs == {TODAY: ()}
    assert heard.narratives == {TODAY: ()}
    assert len(heard.abstentions) == 5


def test_the_order_of_the_facts_rows_changes_nothing(told_facts: dict[Session, Facts]) -> None:
    known = told_facts[TODAY]
    turned = Facts(
        AS_OF, known.session, dict(reversed([*known.symbols.items()])), None, None,
        news=dict(reversed([*known.news.items()])), macro=dict(reversed([*known.macro.items()])),
    )  # fmt: skip
    assert ask(RulesReasoner(), {TODAY: turned}) == ask(RulesReasoner(), told_facts)


def test_only_the_analysts_of_the_settings_are_asked(told_facts: dict[Session, Facts]) -> None:
    few = AgentsSettings(analysts=(Analyst(skill="macro-analyst", weight=1.0),), personas=AGENTS.personas)
    heard = ask_analysts(RulesReasoner(), told_facts, budget_of, agents=few)
    assert [brief.agent for brief in heard.briefs[TODAY]] == ["macro"]


def test_the_rules_members_of_the_desk_pass_the_checks_of_their_roles(facts: dict[Session, Facts]) -> None:
    for posed in posed_at(facts, roles_at(AGENTS, None)):
        role, inputs = posed.analyst.role, posed.question.inputs
        answer = by_rules(role, inputs)
        assert isinstance(answer, Abstention) or role.check is None or role.check(inputs, answer.value) is None


def test_a_session_at_the_end_of_the_year_is_asked_about_what_came_before_it(facts: dict[Session, Facts]) -> None:
    for session, briefs in ask(RulesReasoner(), facts).briefs.items():
        assert {e.session for brief in briefs for e in brief.evidence} == {XNYS.previous(session.day).day}


@pytest.fixture
def inputs() -> BreadthInputs:
    reading = Reading(id="r1", table="breadth", column="advances", session=date(2024, 3, 1), value=3.0)
    return BreadthInputs(session=date(2024, 3, 1), readings=(reading,))


@pytest.mark.fault(95)
@settings(deadline=None, max_examples=25)
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
    for posed in posed_at(facts, roles_at(AGENTS, None)):
        for id_, cited in posed.question.citations.items():
            columns.setdefault(f"{posed.analyst.agent} {id_}", set()).update(each.column for each in cited)
    assert columns
    assert all(len(names) == 1 for names in columns.values())


def test_a_brief_says_by_itself_who_reasoned() -> None:
    assert {"route", "model", "leakage", "answer_key"} <= set(Brief.model_fields)


def test_the_moment_of_a_brief_is_the_moment_of_its_question(told_facts: dict[Session, Facts]) -> None:
    moments: set[datetime] = {brief.as_of for brief in ask(RulesReasoner(), told_facts).briefs[TODAY]}
    assert moments == {AS_OF}
