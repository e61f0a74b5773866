"""Theses become plans: what is sold, trimmed, added to and opened in a slot, with every price and quantity by code.

Size comes from risk: the quantity that loses `risk_per_trade_fraction_max` of equity at the stop, never above the wanted position
and its limit, times the stance's and the order style's fraction, within what related positions may lose together. Exits come
first, then trims, additions, and entries in the order that the trader chose.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trading_assets.briefs.facts import Facts
from trading_assets.briefs.settings import AgentsSettings
from trading_assets.core.parameters import Parameters
from trading_assets.core.preferences import Preferences
from trading_assets.core.slots import Slot
from trading_assets.plans.context import Context, reducing
from trading_assets.plans.entries import WITHHELD, Judged, entry_plans, judged_ideas, remarks_on, vote_rows
from trading_assets.plans.exits import leaving
from trading_assets.plans.model import Candidate, TradePlan, Vote
from trading_assets.plans.portfolio import Portfolio
from trading_assets.plans.resizing import additions, trims
from trading_assets.plans.sizing import Room, Taken
from trading_assets.theses.model import Mind, Stance, Thesis

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Planned:
    """What a slot proposes: plans in the order in which they are judged, rows of VOTES, and remarks (title, sentence, symbol).

    `withheld` are entries that would have been planned, were their strategy not switched off.
    """

    plans: tuple[TradePlan, ...] = ()
    withheld: tuple[TradePlan, ...] = ()
    vote_rows: tuple[Row, ...] = ()
    remarks: tuple[tuple[str, str, str], ...] = ()


def make_plans(
    slot: Slot,
    facts: Facts,
    mind: Mind,
    portfolio: Portfolio,
    *,
    ended: Sequence[Thesis],
    candidates: Sequence[Candidate],
    votes: Sequence[Vote],
    choice: Sequence[tuple[str, str, str]],
    weights: Mapping[str, float],
    heard: Mapping[str, int],
    stance: Stance | None,
    related: Mapping[str, Collection[str]],
    agents: AgentsSettings,
    preferences: Preferences,
    parameters: Parameters | None = None,
    flatten: str | None = None,
) -> Planned:
    """Exits, trims, additions, and entries that quorum, consensus, trader, and limits allow.

    Args:
        mind: As it is after the slot; its theses are alive, `ended` are those that ended in the slot.
        choice: Keys of the candidates that the trader wants, in its order; silence is the empty choice.
        weights: What each persona's vote counts; who is missing does not count.
        heard: How many analysts spoke on each symbol; one who spoke on the market counts for each.
        related: By symbol, the symbols whose theses share risk with its own.
        parameters: The session's; without any, a position weighs what the limits allow and nothing is switched off.
        flatten: Why everything must be sold now (a halt); then nothing else is planned.
    """
    groups, tuned = {symbol: frozenset(others) for symbol, others in related.items()}, parameters or Parameters()
    wanted = tuned.position_fraction if parameters else 1.0
    room = Room(portfolio, groups, preferences, wanted, facts.weekly)
    context = Context(slot, facts, mind, portfolio, room, stance, heard, agents, tuned)
    exits = _exits(context, ended, flatten)
    smaller, larger = _resized(context, exits)
    standing = (*exits, *smaller, *larger)
    ideas = judged_ideas(
        context,
        candidates,
        votes,
        choice,
        weights,
        busy={plan.symbol for plan in standing},
        taken=_taken(larger),
        flatten=flatten,
    )
    return Planned(
        plans=(*standing, *entry_plans(context, ideas)),
        withheld=tuple(entry_plans(context, ideas, WITHHELD)),
        vote_rows=tuple(vote_rows(context, ideas, votes, weights)),
        remarks=_remarks(context, ideas, flatten),
    )


def plan_rows(plans: Sequence[TradePlan], slot: Slot) -> list[Row]:
    """The plans as rows of TRADE_PLANS."""
    return [
        {
            **plan.model_dump(exclude={"as_of", "reasons", "votes"}),
            "plan_id": plan.id,
            "plan_digest": plan.digest,
            "votes": json.dumps(dict(plan.votes), sort_keys=True),
            "reasons": json.dumps(plan.reasons, ensure_ascii=False),
            "knowable_at": slot.at,
        }
        for plan in plans
    ]


def _exits(context: Context, ended: Sequence[Thesis], flatten: str | None) -> tuple[TradePlan, ...]:
    """A plan for each position that is to be closed and has a price."""
    found = leaving(
        context.slot,
        context.facts,
        context.mind,
        context.portfolio,
        ended=ended,
        scaling=context.agents.scaling,
        flatten=flatten,
    )
    return tuple(
        reducing(context, each.holding, "exit", abs(each.holding.quantity), each.reason, each.thesis)
        for each in found
        if context.price(each.holding) > 0
    )


def _resized(context: Context, exits: Sequence[TradePlan]) -> tuple[tuple[TradePlan, ...], tuple[TradePlan, ...]]:
    """Trims and additions of what is kept; a trim that sells everything counts among them as the exit that it is."""
    leaving_now = {plan.symbol for plan in exits}
    smaller = tuple(sorted(trims(context, leaving_now), key=lambda plan: plan.action != "exit"))
    return smaller, tuple(additions(context, leaving_now | {plan.symbol for plan in smaller}))


def _taken(larger: Sequence[TradePlan]) -> Taken:
    taken = Taken()
    for plan in larger:
        if plan.risk_per_share is not None:
            risk = plan.risk_per_share * plan.quantity
            taken = taken.plus(plan.symbol, risk, strategy=plan.strategy, value=plan.notional)
    return taken


def _remarks(context: Context, ideas: Sequence[Judged], flatten: str | None) -> tuple[tuple[str, str, str], ...]:
    silent = context.stance is None and context.slot.is_first and not flatten
    nobody = (("no stance", "there is no stance of the day: nothing is opened", ""),) if silent else ()
    return (*nobody, *remarks_on(ideas))
