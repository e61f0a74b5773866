"""Candidates, settings of the agents, and a whole slot from setups to plans, for the tests of sizing, scaling and the trader."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.plans.ideas import LIMITS, SLOT, mind, portfolio, stance, thesis, vote
from trading_assets.briefs.facts import Facts
from trading_assets.briefs.settings import AgentsSettings, Analyst, Scaling
from trading_assets.core.slots import Slot
from trading_assets.plans.candidates import candidates
from trading_assets.plans.model import Candidate, PlanSide, Vote
from trading_assets.plans.portfolio import Portfolio
from trading_assets.plans.strategies import STRATEGIES
from trading_assets.plans.trader import Planned, make_plans
from trading_assets.theses.model import Mind, Thesis

PERSONAS = ("contrarian-persona", "macro-persona", "momentum-persona", "technical-persona")


def agents_of(**scaling: float) -> AgentsSettings:
    """The settings as they ship: quorum of 2 analysts and 3 personas, consensus of 0.1."""
    analyst = Analyst(skill="technical-analyst", weight=1.2)
    return AgentsSettings(analysts=(analyst,), personas=PERSONAS, scaling=Scaling(**scaling))


def candidate(
    symbol: str = "AAA",
    *,
    side: PlanSide = "long",
    entry: str = "100.00",
    risk: str = "4.00",
    **changed: Any,
) -> Candidate:
    """A candidate that wins 1.6 times what it risks."""
    at, per_share, sign = Decimal(entry), Decimal(risk), 1 if side == "long" else -1
    fields: dict[str, Any] = {
        "strategy": "momentum_breakout",
        "symbol": symbol,
        "side": side,
        "view": "trending_bull",
        "thesis_id": f"thesis-{symbol}",
        "confidence": 0.6,
        "reference": at,
        "entry": at,
        "stop": at - sign * per_share,
        "target": at + sign * per_share * Decimal("1.6"),
        "reasons": ("it was found",),
    }
    return Candidate(**{**fields, **changed})


def leg_pair(bought: str = "BBB", sold: str = "AAA", **changed: Any) -> tuple[Candidate, Candidate]:
    """Both legs of a pair, on the thesis of the one that is bought."""
    fields: dict[str, Any] = {
        "strategy": "correlation_convergence",
        "pair": "tied",
        "thesis_id": f"thesis-{bought}",
        "view": "range",
    }
    return candidate(bought, **fields, **changed), candidate(sold, side="short", **fields, **changed)


def planned(
    facts: Facts,
    *,
    believed: Mind | None = None,
    book: Portfolio | None = None,
    slot: Slot = SLOT,
    found: Sequence[Candidate] | None = None,
    ended: Sequence[Thesis] = (),
    votes: Mapping[str, float] | None = None,
    cast: Sequence[Vote] | None = None,
    **more: Any,
) -> Planned:
    """The slot's plans when the trader takes everything, in the order found.

    Args:
        votes: What each persona gives to every candidate; half a vote each where nothing is said.
        cast: The votes one by one, instead.
    """
    held = book or portfolio()
    believed = mind(*map(thesis, facts.symbols)) if believed is None else believed
    said = more.pop("stance", stance())
    if found is None:
        found = candidates(
            slot,
            facts,
            believed,
            held,
            narratives=more.pop("narratives", ()),
            stance=said,
            strategies=more.pop("strategies", tuple(STRATEGIES)),
            sectors={symbol: symbol for symbol in facts.symbols},
        )
    each_gives = dict.fromkeys(PERSONAS, 0.5) if votes is None else votes
    given = [vote(persona, each, value) for each in found for persona, value in each_gives.items()]
    fields: dict[str, Any] = {
        "ended": ended,
        "candidates": found,
        "votes": given if cast is None else cast,
        "choice": [each.key for each in found],
        "weights": dict.fromkeys(PERSONAS, 1.0),
        "heard": dict.fromkeys([*facts.symbols, *(each.symbol for each in found), *held.holdings], 2),
        "stance": said,
        "related": {},
        "agents": agents_of(),
        "preferences": LIMITS,
    }
    return make_plans(slot, facts, believed, held, **{**fields, **more})
