"""What a look between the slots does more than an ordinary one: hear the news again, and reduce on the session's own prices.

Nothing here opens or enlarges. A stop rests at the broker and the gateway reacts to ticks by itself; what is judged here is what
needs a thesis: an invalidation that the session's bars have passed, a gain that is held on a thesis that faded, the other leg.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from trading_assets.briefs.asking import Posed
from trading_assets.briefs.fact_check import checked_briefs
from trading_assets.briefs.model import Brief
from trading_assets.briefs.questions import NEWS_ROLE, AskedAnalyst, brief_of
from trading_assets.briefs.settings import agent_of
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import to_tick
from trading_assets.execution.counsel import Counsel
from trading_assets.execution.looking import View
from trading_assets.execution.ports import Remark
from trading_assets.execution.rules import Rules
from trading_assets.execution.thinking import Grown
from trading_assets.plans.context import Context, reducing
from trading_assets.plans.exits import thesis_of
from trading_assets.plans.model import PlanAction, TradePlan
from trading_assets.plans.portfolio import FOREIGN, Holding
from trading_assets.plans.scaling import reduction
from trading_assets.plans.sizing import Room
from trading_assets.plans.strategies.intraday import fresh_bar
from trading_assets.plans.trader import Planned
from trading_assets.reasoning.model import Abstention, Ask
from trading_assets.theses.model import Mind, Thesis

NEWS = AskedAnalyst(agent_of(NEWS_ROLE.skill), NEWS_ROLE)


def only_reducing(view: View, grown: Grown) -> Grown:
    """What code made of a view; between the slots no setup is looked at."""
    return replace(grown, candidates=()) if view.slot.cause else grown


def news_heard(view: View, rules: Rules, counsel: Counsel) -> View:
    """The view after the news analyst spoke again on what is held and had news since it last did; the same view where nothing has.

    Nobody is asked at a scheduled slot, on a halted book, or where the settings leave the analyst out.
    """
    asked_at_all = any(each.skill == NEWS_ROLE.skill for each in rules.agents.analysts)
    if not view.slot.cause or not asked_at_all or view.ruling.state == "HALTED":
        return view
    symbols = frozenset(symbol for symbol in view.portfolio.holdings if _told_since(view, symbol))
    posed = [Posed(view.slot.session, NEWS, each) for each in NEWS.questions(view.facts) if each.symbol in symbols]
    if not posed:
        return view
    budget = counsel.budget_of(view.slot)
    answers = counsel.reasoner.gather(
        [Ask(each.analyst.role, each.question.inputs, budget, each.question.as_of) for each in posed],
        within=counsel.patience,
    )
    briefs, remarks = list[Brief](), list[Remark]()
    for each, answer in zip(posed, answers, strict=True):
        if isinstance(answer, Abstention):
            remarks.append(Remark("news silent", answer.reason, each.question.symbol))
        else:
            briefs.append(brief_of(each.analyst, each.question, answer))
    believed, wrong = checked_briefs(briefs, view.facts)
    remarks += [Remark(f"{one.agent} not believed", one.sentence, one.symbol) for one in wrong]
    remarks += [Remark("news heard again", _said(brief), brief.symbol) for brief in believed]
    return with_briefs(replace(view, remarks=(*view.remarks, *remarks)), believed)


def with_briefs(view: View, briefs: tuple[Brief, ...]) -> View:
    """The view with briefs in the place of what the same analysts said before of the same symbols."""
    if not briefs:
        return view
    new = {(brief.agent, brief.symbol) for brief in briefs}
    kept = tuple(brief for brief in view.said.briefs if (brief.agent, brief.symbol) not in new)
    return replace(view, said=replace(view.said, briefs=(*kept, *briefs)), again=briefs)


def with_reductions(view: View, mind: Mind, planned: Planned, rules: Rules) -> Planned:
    """The slot's plans with what the session's own prices ask for; only in a slot of an event.

    Raises:
        PermanentFailure: A plan would open or enlarge a position: the slot is not decided.
    """
    if not view.slot.cause:
        return planned
    plans = (*planned.plans, *_reductions(view, mind, planned, rules))
    opening = next((plan for plan in plans if plan.opens), None)
    if opening is not None:
        raise PermanentFailure(
            "a look between the slots may only reduce", value=f"{opening.action} {opening.symbol}", bound="exit or trim"
        )
    return replace(planned, plans=plans)


def _reductions(view: View, mind: Mind, planned: Planned, rules: Rules) -> Iterator[TradePlan]:
    busy = {plan.symbol for plan in planned.plans} | view.portfolio.exiting
    pending = {each.symbol for each in view.portfolio.pending}
    found: dict[str, tuple[Holding, PlanAction, int, Decimal, str]] = {}
    for symbol, holding in sorted(view.portfolio.holdings.items()):
        price = _price(view, symbol)
        if holding.strategy == FOREIGN or symbol in busy or price is None:
            continue
        thesis = thesis_of(holding, mind)
        broken = _broken(holding, thesis, price)
        trimmed = reduction(holding, price, thesis, rules.agents.scaling) if thesis and symbol not in pending else None
        if broken:
            found[symbol] = (holding, "exit", abs(holding.quantity), price, broken)
        elif trimmed:
            action: PlanAction = "exit" if trimmed.quantity >= abs(holding.quantity) else "trim"
            found[symbol] = (holding, action, min(trimmed.quantity, abs(holding.quantity)), price, trimmed.reason)
    found.update(_other_legs(view, {symbol for symbol, told in found.items() if told[1] == "exit"}, busy))
    context = _context(view, mind, rules)
    for _, (holding, action, quantity, price, reason) in sorted(found.items()):
        plan = reducing(context, holding, action, quantity, reason, thesis_of(holding, mind))
        reasons = (*plan.reasons, f"seen because of {view.slot.cause}")
        yield plan.model_copy(update={"reference": price, "entry": price, "reasons": reasons})


def _other_legs(
    view: View, gone: set[str], busy: set[str]
) -> Mapping[str, tuple[Holding, PlanAction, int, Decimal, str]]:
    """Legs whose other leg leaves in this look, where a price of the session is known: a hedge does not stay behind alone."""
    holdings = view.portfolio.holdings
    pairs = {holdings[symbol].pair: symbol for symbol in sorted(gone) if holdings[symbol].pair}
    legs: dict[str, tuple[Holding, PlanAction, int, Decimal, str]] = {}
    for symbol, leg in sorted(holdings.items()):
        price = _price(view, symbol)
        if leg.pair in pairs and symbol not in gone | busy and price is not None:
            reason = f"the other leg of its pair, {pairs[leg.pair]}, is sold"
            legs[symbol] = (leg, "exit", abs(leg.quantity), price, reason)
    return legs


def _broken(holding: Holding, thesis: Thesis | None, price: Decimal) -> str:
    """Which level the session's price has passed; empty where it has passed none."""
    long = holding.side == "long"
    levels = {
        "the stop": holding.stop,
        "the invalidation of its thesis": thesis.invalidation if thesis and thesis.direction == holding.side else None,
    }
    for name, level in levels.items():
        if level is not None and (price <= level if long else price >= level):
            return f"the session's price {price:.2f} has passed {name} at {level:.2f}"
    return ""


def _price(view: View, symbol: str) -> Decimal | None:
    """The newest close of the session's own bars, USD; None where none is younger than half an hour."""
    row = fresh_bar(view.facts.intraday.get(symbol), view.slot)
    if row is None:
        return None
    price = to_tick(row["close"])
    return price if price > 0 else None


def _context(view: View, mind: Mind, rules: Rules) -> Context:
    room = Room(view.portfolio, {}, rules.preferences)
    return Context(view.slot, view.facts, mind, view.portfolio, room, view.said.stance, view.heard, rules.agents)


def _told_since(view: View, symbol: str) -> bool:
    """Whether a headline on the symbol became known after the news analyst was last heard on it."""
    spoke = [brief.as_of for brief in view.said.briefs if (brief.agent, brief.symbol) == (NEWS.agent, symbol)]
    spoke += [
        word.at
        for thesis in view.mind.theses
        if thesis.symbol == symbol
        for word in thesis.contributions
        if word.source == NEWS.agent
    ]
    since = max(spoke, default=view.slot.session.open)
    return any(row["knowable_at"] > since for row in view.facts.news.get(symbol, ()))


def _said(brief: Brief) -> str:
    return f"signal {brief.signal:+.2f}, confidence {brief.confidence:.2f}, by {brief.route}"
