"""`desk fill`: asks a model about the past at half price. Run it again later, from any process: it goes on where it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from desk.output import show
from desk.runner import prepare_home
from resources.clock import RealClock
from resources.desk import BACKTEST, DeskResource
from trading_assets.briefs.asking import facts_before_open, posed_at
from trading_assets.briefs.questions import roles_at
from trading_assets.briefs.settings import load_agents
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Span
from trading_assets.core.settings import config_folder
from trading_assets.reasoning.ports import OverBudget

if TYPE_CHECKING:
    from resources.llm.batches import Batches
    from resources.llm.inquiry import Inquiry
    from resources.llm.recording import Candidate

ROUTE = "anthropic"


def run_fill(first: date, last: date, *, as_json: bool) -> None:
    """Hands in the analysts' questions of a range that have no answer yet, and collects the batches that have ended."""
    prepare_home()
    desk, now = DeskResource(), RealClock().now()
    inquiries = _inquiries(desk, Span(first, last))
    batches, groups = desk.batches(), _grouped(inquiries)
    told: dict[str, Any] = {"questions": len(inquiries), **_collected(batches, groups)}
    limit = desk.reasoning().budget.output_tokens_max
    for group in groups.values():
        told |= _handed_in(batches, group, limit)
    waiting = [f"{t.id[:12]} {t.state}, {t.requests} questions" for t in batches.open()]
    show({**told, "waiting": waiting, "at": now.isoformat(timespec="seconds")}, as_json=as_json)


def _inquiries(desk: DeskResource, span: Span) -> "list[Inquiry[Any, Any]]":
    """The questions that a backfill of the span would ask, masked and rendered as it would."""
    from resources.llm.inquiry import prepare
    from resources.llm.recording import REASONING_VERSION

    settings = desk.reasoning()
    if settings.mode == "rules":
        raise ConfigurationError(
            "models are not asked", value="mode: rules", hint="config/reasoning.yaml: mode: models"
        )
    facts = facts_before_open(desk.lake(), span)
    name = f"briefs-{span.first}-{span.last}"
    budget_of, skills = desk.budgets(BACKTEST, run=name), desk.skills().take()
    first_slot = desk.settings().decisions.slots[0]
    return [
        prepare(
            each.analyst.role,
            each.question.inputs,
            settings=settings,
            skills=skills,
            budget=budget_of(each.session, first_slot),
            as_of=each.question.as_of,
            version=REASONING_VERSION,
        )
        for each in posed_at(facts, roles_at(load_agents(config_folder()), skills))
    ]


@dataclass(frozen=True)
class _Group:
    """The questions that one model is asked, each once: questions that are equal when masked have one key."""

    candidate: "Candidate"
    inquiries: "dict[str, Inquiry[Any, Any]]" = field(default_factory=dict)

    @property
    def name(self) -> tuple[str, str]:
        """Route and model."""
        return self.candidate.route.name, self.candidate.model


def _grouped(inquiries: "Sequence[Inquiry[Any, Any]]") -> "Mapping[tuple[str, str], _Group]":
    groups: dict[tuple[str, str], _Group] = {}
    for inquiry in inquiries:
        candidate = next((each for each in inquiry.candidates if each.route.name == ROUTE), None)
        if candidate is None:
            raise ConfigurationError(f"only route {ROUTE} has batches", hint=f"enable {ROUTE} in config/reasoning.yaml")
        group = _Group(candidate)
        groups.setdefault(group.name, group).inquiries.setdefault(inquiry.key(candidate), inquiry)
    return groups


def _collected(batches: "Batches", groups: "Mapping[tuple[str, str], _Group]") -> dict[str, Any]:
    from resources.llm.batch_inquiries import judge_of

    recorded, missed, cost = 0, list[str](), Decimal(0)
    for ticket in batches.open():
        group = groups.get((ticket.route, ticket.model))
        if group is None or batches.poll(ticket.id, as_of=RealClock().now()).state != "ended":
            continue
        brought = batches.collect(
            ticket.id, judge_of(list(group.inquiries.values()), group.candidate), as_of=RealClock().now()
        )
        recorded += len(brought.recorded)
        missed += [each.reason for each in brought.unrecorded]
        cost += brought.cost_usd
    return {"recorded": recorded, "not_recorded": missed, "cost_usd": str(cost)}


def _handed_in(batches: "Batches", group: _Group, max_tokens: int) -> dict[str, Any]:
    from resources.llm.batch_inquiries import prepared_of

    candidate = group.candidate
    prepared = [prepared_of(each, candidate, max_tokens=max_tokens) for each in group.inquiries.values()]
    ticket = batches.submit(candidate.route.name, candidate.model, prepared, as_of=RealClock().now())
    if ticket is None:
        return {candidate.model: "every question has an answer"}
    if isinstance(ticket, OverBudget):
        return {candidate.model: f"not handed in: {ticket.sentence}"}
    return {candidate.model: f"batch {ticket.id[:12]} of {ticket.requests} questions, {ticket.state}"}
