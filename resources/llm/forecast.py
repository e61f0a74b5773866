"""The bill of a planned backfill, before its first call.

Expected: each question that is not recorded is answered once, by the first route that can be asked, with about a token for
four bytes of prompt and an answer half-way between the shortest and the longest that the settings allow. At most: each needs its
second attempt, with the most input and output that a request is reserved for, inside its decision's pocket. Whatever a forecast
says, the pockets hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from resources.llm.inquiry import Inquiry
from resources.llm.prices import FRAMING_TOKENS, cost_of, input_tokens_bound, most_of
from resources.llm.recording import Candidate
from resources.llm.routes import OpenRoute
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.budgets import pocket_names
from trading_assets.reasoning.model import Budget, Pocket, RouteName, Usage
from trading_assets.reasoning.settings import BudgetSettings

NOTHING = Decimal(0)
BYTES_PER_TOKEN = 4
ATTEMPTS = 2


class BillTooHigh(PermanentFailure):
    """A backfill that is expected to cost more than its pocket has left; nothing was asked."""


@dataclass(frozen=True, slots=True)
class RouteBill:
    """What the calls to one model would cost, USD."""

    route: RouteName
    model: str
    calls: int
    usd_expected: Decimal
    usd_max: Decimal


@dataclass(frozen=True, slots=True)
class Forecast:
    """The bill of questions that nobody has asked yet, USD.

    `replayed` are recorded already and free, `by_rules` find no route that can be asked; `refusal` says which pocket is too
    small for the expected bill.
    """

    calls: int
    replayed: int
    by_rules: int
    usd_expected: Decimal
    usd_max: Decimal
    by_route: tuple[RouteBill, ...] = field(default=())
    refusal: str | None = None

    @property
    def fits(self) -> bool:
        """Whether the questions may begin."""
        return self.refusal is None


@dataclass(frozen=True, slots=True)
class _Line:
    candidate: Candidate
    budget: Budget
    usd_expected: Decimal
    usd_max: Decimal


def forecast_of(
    missing: Sequence[Inquiry[Any, Any]],
    *,
    replayed: int,
    routes: Sequence[OpenRoute],
    limits: BudgetSettings,
    left_of: Callable[[Pocket], Decimal],
    at: datetime,
) -> Forecast:
    """The bill of the questions that have no recorded answer; `left_of` reads what a pocket can still give."""
    ready = frozenset(route.name for route in routes if route.missing is None)
    lines = [line for inquiry in missing if (line := _line(inquiry, ready, limits, at)) is not None]
    return Forecast(
        calls=len(lines),
        replayed=replayed,
        by_rules=len(missing) - len(lines),
        usd_expected=sum((line.usd_expected for line in lines), NOTHING),
        usd_max=_most(lines, left_of),
        by_route=_by_route(lines),
        refusal=_refusal(lines, left_of),
    )


def _line(
    inquiry: Inquiry[Any, Any], ready: frozenset[RouteName], limits: BudgetSettings, at: datetime
) -> _Line | None:
    """The question at the first candidate that can be asked and paid."""
    text = inquiry.text
    bound = input_tokens_bound(text)
    usual = Usage(
        len(text.encode()) // BYTES_PER_TOKEN + FRAMING_TOKENS,
        0,
        (limits.output_tokens_min + limits.output_tokens_max) // 2,
    )
    caps = [pocket.cap_usd for pocket in inquiry.budget.pockets]
    cap = min(caps if inquiry.skill.max_cost_usd is None else [*caps, inquiry.skill.max_cost_usd])
    for candidate in inquiry.candidates:
        if candidate.route.name not in ready:
            continue
        least = most_of(candidate.route, candidate.model, bound, limits.output_tokens_min, at=at)
        most = most_of(candidate.route, candidate.model, bound, limits.output_tokens_max, at=at)
        expected = cost_of(candidate.route, candidate.model, usual, at=at)
        if least is not None and most is not None and expected is not None and least <= cap:
            return _Line(candidate, inquiry.budget, min(expected, cap), min(ATTEMPTS * most, cap))
    return None


def _most(lines: Sequence[_Line], left_of: Callable[[Pocket], Decimal]) -> Decimal:
    """The sum of the worst cases, inside each decision's cap and inside what the larger pockets have left."""
    decisions: dict[str, Decimal] = {}
    shared: dict[str, Pocket] = {}
    for line in lines:
        decision, common = _pockets(line.budget)
        decisions[decision.name] = min(decision.cap_usd, decisions.get(decision.name, NOTHING) + line.usd_max)
        shared[common.name] = common
    left = sum((max(NOTHING, left_of(pocket)) for pocket in shared.values()), NOTHING)
    return min(sum(decisions.values(), NOTHING), left)


def _refusal(lines: Sequence[_Line], left_of: Callable[[Pocket], Decimal]) -> str | None:
    expected: dict[str, Decimal] = {}
    pockets: dict[str, Pocket] = {}
    for line in lines:
        _, common = _pockets(line.budget)
        pockets[common.name] = common
        expected[common.name] = expected.get(common.name, NOTHING) + line.usd_expected
    for name, pocket in pockets.items():
        left = max(NOTHING, left_of(pocket))
        if expected[name] > left:
            return f"{len(lines)} calls are expected to cost {expected[name]:f} USD, {name} has {left:f} USD left"
    return None


def _pockets(budget: Budget) -> tuple[Pocket, Pocket]:
    """The decision's pocket, and the one that many decisions share."""
    names = pocket_names(lane=budget.lane, decision=budget.decision, day=budget.day, backfill=budget.backfill)
    by_name = {pocket.name: pocket for pocket in budget.pockets}
    if set(by_name) != set(names):
        raise PermanentFailure(
            "a budget must be paid from exactly the pockets that its names say",
            value=", ".join(by_name),
            bound=", ".join(names),
            hint="make it with desk_budget or backfill_budget",
        )
    return by_name[names[0]], by_name[names[1]]


def _by_route(lines: Sequence[_Line]) -> tuple[RouteBill, ...]:
    grouped: dict[tuple[RouteName, str], list[_Line]] = {}
    for line in lines:
        grouped.setdefault((line.candidate.route.name, line.candidate.model), []).append(line)
    return tuple(
        RouteBill(
            route,
            model,
            len(group),
            sum((line.usd_expected for line in group), NOTHING),
            sum((line.usd_max for line in group), NOTHING),
        )
        for (route, model), group in grouped.items()
    )
