"""Does a subject remember the past, or does it read its inputs? Three probes, their numbers, and one sentence [A12].

Named against masked: who remembers is right more often when the symbol and the day are told. Counterfactual: who remembers gives
the same answer to prices turned round, or to another symbol's. Recall: who remembers knows the outcome from symbol and day alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Json
from trading_assets.reasoning.masking import Aliases, mask
from trading_assets.reasoning.model import In, Out, Role
from trading_assets.reasoning.probes import (
    RECALL_PROBE,
    TREND_PROBE,
    Call,
    Case,
    Direction,
    RecallQuestion,
    TrendInputs,
    inverted,
    shuffled,
    swapped,
)
from trading_assets.reasoning.proportions import Gap, Share, at_least

T = TypeVar("T")
Verdict = Literal["memorises", "mixed", "reasons", "cannot tell"]
CASES_MIN = 30
ANSWERED_MIN = 0.8
IGNORES_INPUTS = 0.75
READS_INPUTS = 0.5
GAP_MAX = 0.15
RECALLED_MIN = 10
RECALL_DOUBT = 0.01


class Ask(Protocol):
    """A subject: answers of one role's questions in their order, None where there is no answer."""

    def __call__(self, role: Role[In, Out], questions: Sequence[In]) -> Sequence[Out | None]:
        """Asks."""
        ...


class AskOne(Protocol):
    """A subject that is asked one question at a time."""

    def __call__(self, role: Role[In, Out], inputs: In) -> Out | None:
        """Asks."""
        ...


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What the probes found. Shares are of the cases that were answered in each setting that a share compares.

    Args:
        cases: How many cases were put.
        answered: Cases answered both named and masked.
        named: Right with the symbol and the day told.
        masked: Right with both hidden.
        gap: Named less masked, on the same cases.
        unchanged: Same answer to prices turned round: prediction consistency. Its rest is the input dependency.
        unchanged_shuffled: Same answer to the moves in another order.
        follows_prices: Of the cases whose answer differs from their donor's, those that answered as the donor when shown its moves.
        recalled: Asked by symbol and day alone, said up or down.
        recalled_right: Of these, right.
        recall_chance: What saying the more frequent outcome each time would have got right of these.
        recall_doubt: Probability of so many right by that chance alone.
    """

    cases: int
    answered: int
    named: Share
    masked: Share
    gap: Gap
    unchanged: Share
    unchanged_shuffled: Share
    follows_prices: Share
    recalled: Share
    recalled_right: Share
    recall_chance: float
    recall_doubt: float
    verdict: Verdict
    sentence: str

    @property
    def input_dependency(self) -> Share:
        """Another answer to prices turned round."""
        return Share(self.unchanged.count - self.unchanged.hits, self.unchanged.count)

    @property
    def leaks(self) -> bool:
        """Whether memory was seen at work, alone or beside reading."""
        return self.verdict in ("memorises", "mixed")


@dataclass(frozen=True, slots=True)
class Questions:
    """Everything that is asked about some cases, in their order: `trends` by TREND_PROBE, `recall` by RECALL_PROBE.

    The trends are named, masked, with prices turned round, with moves shuffled, and with the moves of the case half-way along.
    """

    trends: tuple[Sequence[TrendInputs], ...]
    recall: Sequence[RecallQuestion]


def questions_of(cases: Sequence[Case], *, aliases: Aliases | None = None) -> Questions:
    """The six questions about each case."""
    inputs = [case.inputs for case in cases]
    trends = (
        inputs,
        [mask(one, aliases=aliases).inputs for one in inputs],
        [inverted(one) for one in inputs],
        [shuffled(one) for one in inputs],
        [swapped(one, donor) for one, donor in zip(inputs, _half_way(inputs), strict=True)],
    )
    return Questions(trends, [case.recall for case in cases])


def one_by_one(ask: AskOne) -> Ask:
    """A subject made of one that takes single questions."""

    def each(role: Role[In, Out], questions: Sequence[In]) -> Sequence[Out | None]:
        return [ask(role, question) for question in questions]

    return each


def by_rules(role: Role[In, Out], questions: Sequence[In]) -> Sequence[Out | None]:
    """The rules members as a subject."""
    return [role.rules(question) if role.rules else None for question in questions]


def probe(cases: Sequence[Case], ask: Ask, *, aliases: Aliases | None = None) -> LeakReport:
    """Puts six questions about each case and says what the answers show.

    Args:
        cases: Questions with known outcomes.
        ask: The subject; it must see the questions as they are, so a reasoner is asked with its own masking off.
        aliases: Other names of the companies, for masking.

    Raises:
        PermanentFailure: There is no case, or the subject answered another number of questions than it was asked.
    """
    if not cases:
        raise PermanentFailure("a leak check needs cases", value=0)
    asked = questions_of(cases, aliases=aliases)
    named, masked, turned, mixed, traded = (_calls(ask, questions) for questions in asked.trends)
    recalled = [recall.direction if recall else None for recall in _asked(ask, RECALL_PROBE, asked.recall)]
    return _report([case.outcome for case in cases], named, masked, turned, mixed, traded, recalled)


def numbers(report: LeakReport) -> dict[str, Json]:
    """The report as JSON; shares with their ends, None where nothing was counted."""
    shares: Mapping[str, Share | Gap] = {
        "accuracy_named": report.named,
        "accuracy_masked": report.masked,
        "gap": report.gap,
        "prediction_consistency": report.unchanged,
        "input_dependency": report.input_dependency,
        "consistency_shuffled": report.unchanged_shuffled,
        "follows_prices": report.follows_prices,
        "recall_answered": report.recalled,
        "recall_accuracy": report.recalled_right,
    }
    return {
        "cases": report.cases,
        "answered": report.answered,
        **{name: _ends(share) for name, share in shares.items()},
        "recall_chance": round(report.recall_chance, 4),
        "recall_doubt": float(f"{report.recall_doubt:.3g}"),
        "verdict": report.verdict,
        "sentence": report.sentence,
    }


def _ends(share: Share | Gap) -> Json:
    if share.value is None:
        return None
    return {
        "value": round(share.value, 4),
        "low": round(share.low, 4),
        "high": round(share.high, 4),
        "count": share.count,
    }


def _asked(ask: Ask, role: Role[In, Out], questions: Sequence[In]) -> Sequence[Out | None]:
    answers = ask(role, questions)
    if len(answers) != len(questions):
        raise PermanentFailure(f"{role.skill}: answers are missing", value=len(answers), bound=len(questions))
    return answers


def _calls(ask: Ask, questions: Sequence[TrendInputs]) -> Sequence[Direction | None]:
    answers: Sequence[Call | None] = _asked(ask, TREND_PROBE, questions)
    return [answer.direction if answer else None for answer in answers]


def _report(
    outcomes: Sequence[Direction],
    named: Sequence[Direction | None],
    masked: Sequence[Direction | None],
    turned: Sequence[Direction | None],
    mixed: Sequence[Direction | None],
    traded: Sequence[Direction | None],
    recalled: Sequence[str | None],
) -> LeakReport:
    both = [(y, n, m) for y, n, m in zip(outcomes, named, masked, strict=True) if n and m]
    told = [(y, said) for y, said in zip(outcomes, recalled, strict=True) if said in ("up", "down")]
    right = Share(sum(y == said for y, said in told), len(told))
    ups = sum(y == "up" for y, _ in told)
    chance = max(ups, len(told) - ups) / len(told) if told else 0.5
    findings = _Findings(
        answered=Share(len(both), len(outcomes)),
        gap=Gap(sum(n == y != m for y, n, m in both), sum(m == y != n for y, n, m in both), len(both)),
        unchanged=_same(named, turned),
        right=right,
        chance=chance,
        doubt=at_least(right.hits, right.count, chance) if told else 1.0,
    )
    verdict, sentence = findings.verdict()
    return LeakReport(
        cases=len(outcomes),
        answered=len(both),
        named=Share(sum(y == n for y, n, _ in both), len(both)),
        masked=Share(sum(y == m for y, _, m in both), len(both)),
        gap=findings.gap,
        unchanged=findings.unchanged,
        unchanged_shuffled=_same(named, mixed),
        follows_prices=_followed(named, traded),
        recalled=Share(len(told), sum(said is not None for said in recalled)),
        recalled_right=right,
        recall_chance=chance,
        recall_doubt=findings.doubt,
        verdict=verdict,
        sentence=sentence,
    )


def _same(first: Sequence[Direction | None], second: Sequence[Direction | None]) -> Share:
    pairs = [(one, other) for one, other in zip(first, second, strict=True) if one and other]
    return Share(sum(one == other for one, other in pairs), len(pairs))


def _followed(named: Sequence[Direction | None], traded: Sequence[Direction | None]) -> Share:
    donors = _half_way(named)
    told_apart = [
        (donor, said)
        for own, donor, said in zip(named, donors, traded, strict=True)
        if own and donor and said and own != donor
    ]
    return Share(sum(donor == said for donor, said in told_apart), len(told_apart))


def _half_way(items: Sequence[T]) -> Sequence[T]:
    return [*items[len(items) // 2 :], *items[: len(items) // 2]]


@dataclass(frozen=True, slots=True)
class _Findings:
    answered: Share
    gap: Gap
    unchanged: Share
    right: Share
    chance: float
    doubt: float

    def verdict(self) -> tuple[Verdict, str]:
        """The verdict and its sentence."""
        if self.answered.hits < CASES_MIN:
            return "cannot tell", f"cannot tell: {self.answered.hits} cases were answered, {CASES_MIN} are needed"
        if self.answered.hits < ANSWERED_MIN * self.answered.count:
            return "cannot tell", f"cannot tell: only {self.answered.hits} of {self.answered.count} cases were answered"
        signs = [*self._signs()]
        if signs:
            alone = self.unchanged.low > IGNORES_INPUTS
            verdict: Verdict = "memorises" if alone else "mixed"
            rest = (
                "and its answers hardly depend on the prices" if alone else "but its answers depend on the prices too"
            )
            return verdict, f"{verdict}: it {' and '.join(signs)}, {rest}"
        return self._without_signs()

    def _signs(self) -> Sequence[str]:
        named = self.gap.low > 0
        recall = self.right.count >= RECALLED_MIN and self.doubt < RECALL_DOUBT
        found: list[tuple[bool, Callable[[], str]]] = [
            (
                named,
                lambda: f"is right in {self.gap.value or 0:.0%} more of the cases when it knows the name and the day",
            ),
            (
                recall,
                lambda: (
                    f"recalls {self.right.value or 0:.0%} of outcomes from name and day alone (chance {self.chance:.0%})"
                ),
            ),
        ]
        return [sentence() for shown, sentence in found if shown]

    def _without_signs(self) -> tuple[Verdict, str]:
        dependency = 1 - (self.unchanged.value or 0.0)
        if 1 - self.unchanged.high <= READS_INPUTS:
            return (
                "cannot tell",
                f"cannot tell: only {dependency:.0%} of answers change with the prices, and nothing shows memory",
            )
        if self.gap.high > GAP_MAX:
            return "cannot tell", f"cannot tell: too few cases, a gap of up to {self.gap.high:.0%} cannot be excluded"
        return "reasons", f"reasons: {dependency:.0%} of answers change with the prices, and nothing shows memory"
