"""A slot's round of questions: the strategist first, then trader, personas and double checker side by side over what code found.

Agents give opinions in typed words; what comes of them is computed again, by the same functions, where the slot is decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from trading_assets.execution.counsel import Counsel
from trading_assets.execution.looking import View
from trading_assets.execution.ports import Remark
from trading_assets.execution.rules import Rules
from trading_assets.execution.tuning import in_force
from trading_assets.plans.candidates import candidates, refused_proposals
from trading_assets.plans.choosing import choice_of, trader_ask
from trading_assets.plans.model import Candidate, PlanSide, Vote
from trading_assets.plans.personas import vote_asks, votes_of
from trading_assets.plans.portfolio import FOREIGN
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget
from trading_assets.signatures.double_checker import Second, second_asks, seconds_of
from trading_assets.theses.graph import Advanced, advance
from trading_assets.theses.model import ThesisUpdate
from trading_assets.theses.strategist import strategist_ask, updates_of

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Grown:
    """What code makes of a view and the strategist's words: the graph after the slot, and the setups that it allows.

    `refused` are remarks (title, sentence, symbol): requests that became no setup, and parameters that are not the configured ones.
    """

    advanced: Advanced
    candidates: tuple[Candidate, ...]
    refused: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Thoughts:
    """What the agents said in a slot. `grown` belongs to the view that they were asked about, and to no other."""

    view: View
    grown: Grown
    updates: tuple[ThesisUpdate, ...] = ()
    choice: tuple[Key, ...] = ()
    votes: tuple[Vote, ...] = ()
    seconds: tuple[Second, ...] = ()
    remarks: tuple[Remark, ...] = field(default=())


def think(view: View, rules: Rules, counsel: Counsel) -> Thoughts:
    """Asks the agents about one slot; nothing is decided, and nothing but the agents' own record is written."""
    budget, remarks = counsel.budget_of(view.slot), list[Remark]()
    updates = _updates(view, rules, counsel, budget, remarks) if view.slot.is_first else ()
    grown = grow(view, updates, rules)
    enlarged = _may_grow(view)
    if not (grown.candidates or enlarged) or view.ruling.state != "ACTIVE":
        return Thoughts(view, grown, updates, remarks=tuple(remarks))
    seconds = second_asks(_live(grown), view.facts, budget=budget, as_of=view.slot.at, also=enlarged)
    if not grown.candidates:
        answers = counsel.reasoner.gather(seconds, within=counsel.patience)
        return Thoughts(view, grown, updates, seconds=_seconds(seconds, answers, remarks), remarks=tuple(remarks))
    return _opinions(view, grown, updates, seconds, rules, counsel, budget, remarks)


def grow(view: View, updates: Sequence[ThesisUpdate], rules: Rules) -> Grown:
    """The graph after the slot, and its candidates; the same view and words always give the same."""
    agents, decisions = rules.agents, rules.settings.decisions
    first = view.slot.is_first
    advanced = advance(
        view.mind,
        view.slot,
        view.facts,
        voices=view.spoken(agents.weights_by_agent),
        cases=[argued.case for argued in view.said.cases] if first else (),
        updates=updates,
        debate_weight=agents.debate_weight,
        known=rules.settings.market.symbols,
        exit_confidence=agents.scaling.exit_confidence,
    )
    search = partial(
        candidates,
        narratives=view.said.narratives,
        stance=view.said.stance,
        strategies=decisions.strategies,
        sectors=rules.settings.market.sectors,
        proposals=view.proposals,
        parameters=rules.parameters(view.slot.session.day),
    )
    place = (view.slot, view.facts, advanced.mind, view.portfolio)
    found = search(*place)
    refused = refused_proposals(*place, **search.keywords, found=found)
    return Grown(advanced, found, (*refused, *in_force(rules.tuned, view.slot.session.day)))


def _updates(
    view: View, rules: Rules, counsel: Counsel, budget: Budget, remarks: list[Remark]
) -> tuple[ThesisUpdate, ...]:
    ask = strategist_ask(
        view.facts,
        view.voices(rules.agents.weights_by_agent),
        [argued.case for argued in view.said.cases],
        view.said.narratives,
        view.mind,
        view.portfolio.symbols,
        view.lessons,
        budget=budget,
        as_of=view.slot.at,
        stance=view.said.stance,
    )
    if ask is None:
        return ()
    (answer,) = counsel.reasoner.gather([ask], within=counsel.patience)
    return updates_of(ask, answer) if _spoke("strategist", answer, remarks) else ()


def _may_grow(view: View) -> tuple[tuple[str, PlanSide], ...]:
    """Holdings that a plan may add to; what is not the desk's never grows, and holdings are resized at the open alone."""
    holdings = view.portfolio.holdings.values() if view.slot.is_first else ()
    return tuple(sorted((each.symbol, each.side) for each in holdings if each.strategy != FOREIGN))


def _opinions(
    view: View,
    grown: Grown,
    updates: tuple[ThesisUpdate, ...],
    seconds: Sequence[Ask[Any, Any]],
    rules: Rules,
    counsel: Counsel,
    budget: Budget,
    remarks: list[Remark],
) -> Thoughts:
    """The trader's choice, the personas' votes and the double checker's blind opinions, asked side by side.

    On what is switched off the personas vote, so that what would have been planned is known; nobody else is asked.
    """
    facts, mind, said, at = view.facts, grown.advanced.mind, view.said, view.slot.at
    live = _live(grown)
    trader = trader_ask(live, facts, mind, said.stance, budget=budget, as_of=at, lessons=view.lessons)
    cases = [argued.case for argued in said.cases]
    voters = vote_asks(
        rules.agents.personas,
        grown.candidates,
        facts,
        mind,
        said.stance,
        cases,
        budget=budget,
        as_of=at,
        briefs=said.briefs,
        narratives=said.narratives,
    )
    first = [trader] if live else []
    asks: list[Ask[Any, Any]] = [*first, *(ask for _, ask in voters), *seconds]
    told = counsel.reasoner.gather(asks, within=counsel.patience)
    answers = told[len(first) :]
    choice = choice_of(trader, told[0]) if live and _spoke("trader", told[0], remarks) else ()
    votes = [
        vote
        for (persona, ask), answer in zip(voters, answers[: len(voters)], strict=True)
        if _spoke(persona, answer, remarks)
        for vote in votes_of(persona, ask, answer)
    ]
    heard = _seconds(seconds, answers[len(voters) :], remarks)
    return Thoughts(view, grown, updates, choice, tuple(votes), heard, tuple(remarks))


def _live(grown: Grown) -> tuple[Candidate, ...]:
    """The setups that may trade."""
    return tuple(each for each in grown.candidates if not each.switched_off)


def _seconds(
    asks: Sequence[Ask[Any, Any]], answers: Sequence[Answer[Any] | Abstention], remarks: list[Remark]
) -> tuple[Second, ...]:
    return tuple(
        second
        for ask, answer in zip(asks, answers, strict=True)
        if _spoke("double_checker", answer, remarks)
        for second in seconds_of(ask, answer)
    )


def _spoke(agent: str, answer: Answer[Any] | Abstention, remarks: list[Remark]) -> bool:
    """Whether there is an answer; silence, and a model that had to be replaced, are remembered."""
    if isinstance(answer, Abstention):
        remarks.append(Remark(f"{agent} silent", answer.reason))
        return False
    if answer.failed:
        told = "; ".join(f"{attempt.route} {attempt.model}: {attempt.reason}" for attempt in answer.failed)
        remarks.append(Remark(f"{agent} answered by {answer.route}", told))
    return True
