"""One question to the guide: look-ups and answers in rounds, inside one budget, until there is a reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from desk.consult.numbers import not_found
from desk.consult.reading import Desk
from desk.consult.tools import catalogue, use, worded
from desk.consult.words import NO_ORDERS, by_keywords, refused_order
from trading_assets.plans.guide import Finding, GuideAnswer, GuideInputs, Suggestion, ToolCall, Turn, misled
from trading_assets.reasoning.model import Abstention, Answer, Attempt, Budget, Role
from trading_assets.reasoning.ports import Reasoner

GUIDE = Role("desk-guide", GuideInputs, GuideAnswer, by_keywords, misled)
CODE = "code"
ROUNDS_MAX = 5
QUESTION_CHARACTERS_MAX = 500
TURNS_MAX = 6
TURN_CHARACTERS_MAX = 600


@dataclass(frozen=True)
class Reply:
    """What the person sees. `unfounded` are figures of the reply that stand in nothing that was looked up; amounts in USD.

    `answered_by` names the routes of all rounds in their order, each once.
    """

    question: str
    lines: tuple[str, ...]
    answered_by: tuple[str, ...]
    model: str = ""
    findings: tuple[Finding, ...] = ()
    citations: tuple[str, ...] = ()
    proposal: Suggestion | None = None
    unfounded: tuple[str, ...] = ()
    cost_usd: Decimal = Decimal(0)
    list_usd: Decimal = Decimal(0)
    rounds: int = 0
    failed: tuple[Attempt, ...] = ()

    @property
    def turn(self) -> Turn:
        """What the next question of the conversation may look back on."""
        return Turn(question=self.question, reply=" ".join(self.lines)[:TURN_CHARACTERS_MAX])


@dataclass
class _Asked:
    """What the rounds of one question came to so far."""

    findings: list[Finding] = field(default_factory=list)
    answers: list[Answer[GuideAnswer]] = field(default_factory=list)

    def look_up(self, desk: Desk, calls: Sequence[ToolCall]) -> None:
        """Makes the look-ups that were not made yet."""
        for call in calls:
            words = worded(call)
            if all(words != finding.call for finding in self.findings):
                shown = use(desk, call)
                number = len(self.findings) + 1
                self.findings.append(Finding(id=f"t{number}", call=words, rows=shown.rows, note=shown.note))

    def reply(self, question: str, lines: Sequence[str], said: GuideAnswer | None) -> Reply:
        """Everything that the person sees; figures are checked only where a model wrote the reply."""
        last = self.answers[-1] if self.answers else None
        by_rules = last is None or last.route == "rules"
        return Reply(
            question=question,
            lines=tuple(lines),
            answered_by=tuple(dict.fromkeys(str(answer.route) for answer in self.answers)),
            model=last.model if last else "",
            findings=tuple(self.findings),
            citations=said.citations if said else (),
            proposal=said.proposal if said else None,
            unfounded=() if by_rules else not_found(lines, self.findings),
            cost_usd=sum((answer.cost_usd for answer in self.answers), Decimal(0)),
            list_usd=sum((answer.shadow_usd for answer in self.answers), Decimal(0)),
            rounds=len(self.answers),
            failed=tuple(attempt for answer in self.answers for attempt in answer.failed),
        )


def converse(question: str, turns: Sequence[Turn], *, desk: Desk, reasoner: Reasoner, budget: Budget) -> Reply:
    """The reply to one question; an order is refused before anybody is asked.

    Args:
        question: The person's words, at most 500 characters; more is refused in the reply.
        turns: Earlier turns of the conversation; the newest six are shown.
        desk: What may be looked up, as of now.
        reasoner: Asks a model, or the rules.
        budget: Pays for all rounds of this question.
    """
    words = " ".join(question.split())
    if len(words) > QUESTION_CHARACTERS_MAX:
        return Reply(
            words, (f"A question may have {QUESTION_CHARACTERS_MAX} characters; this one has {len(words)}.",), (CODE,)
        )
    if refused_order(words):
        return Reply(words, NO_ORDERS, (CODE,))
    asked = _Asked()
    for left in range(ROUNDS_MAX - 1, -1, -1):
        inputs = _inputs(words, turns, desk, asked.findings, left)
        answer = reasoner.ask(GUIDE, inputs, budget=budget, as_of=desk.now)
        if isinstance(answer, Abstention):
            return asked.reply(words, (f"Nobody answered: {answer.reason}.",), None)
        asked.answers.append(answer)
        if not answer.value.calls:
            return asked.reply(words, answer.value.reply, answer.value)
        asked.look_up(desk, answer.value.calls)
    return asked.reply(words, (f"No reply after {ROUNDS_MAX} rounds.",), None)


def _inputs(
    question: str, turns: Sequence[Turn], desk: Desk, findings: Sequence[Finding], rounds_left: int
) -> GuideInputs:
    return GuideInputs(
        question=question,
        today=desk.today,
        lane=desk.lane,
        symbols=desk.symbols,
        strategies=desk.resource.settings().decisions.strategies,
        tools=catalogue(),
        findings=tuple(findings),
        turns=tuple(turns[-TURNS_MAX:]),
        rounds_left=rounds_left,
    )
