"""Setups that the slot allows, as a closed list: code finds them, prices them and says on which thesis each one stands.

A candidate needs a strategy that acts in the slot and that settings and stance allow, its symbol's view, a live thesis of the
right direction that is active and sure enough, and a setup. Silence of the chief allows nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.core.ids import short_id
from trading_assets.core.parameters import Parameters
from trading_assets.core.slots import Slot
from trading_assets.plans.model import Candidate, PlanSide, Proposal
from trading_assets.plans.pairs import Gap, gaps, leg
from trading_assets.plans.portfolio import Portfolio
from trading_assets.plans.strategies import STRATEGIES, acting, acts
from trading_assets.plans.strategies.model import Scene, Setup, Strategy
from trading_assets.plans.style import Liquidity, calmer, liquidity_of, styled
from trading_assets.theses.model import Mind, Stance, Thesis

__all__ = ["acts", "candidates", "refused_proposals"]

CONFIDENCE_MIN = 0.55
_OFF = "{} is switched off in {}"
Remarked = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Stage:
    """Everything that the slot's candidates are found in; `taken` are the symbols that are held or on their way."""

    slot: Slot
    facts: Facts
    mind: Mind
    taken: frozenset[str]
    narratives: Mapping[str, Narrative]
    stance: Stance | None
    strategies: tuple[Strategy, ...]
    sectors: Mapping[str, str]
    parameters: Parameters


def candidates(
    slot: Slot,
    facts: Facts,
    mind: Mind,
    portfolio: Portfolio,
    *,
    narratives: Sequence[Narrative],
    stance: Stance | None,
    strategies: Sequence[str],
    sectors: Mapping[str, str],
    proposals: Sequence[Proposal] = (),
    parameters: Parameters | None = None,
) -> tuple[Candidate, ...]:
    """The slot's candidates by falling confidence; of a pair there are both legs or none.

    Each key (strategy, symbol, side) occurs once. `size_fraction` is the order style's; that of the stance comes on top when plans
    are made. What the parameters switch off is found all the same, and marked.
    """
    stage = _stage(slot, facts, mind, portfolio, narratives, stance, strategies, sectors, parameters)
    found = sorted(_found(stage), key=lambda each: (-each.confidence, each.symbol, each.strategy, each.side))
    return tuple(_asked_for(each, proposals) for each in found)


def refused_proposals(
    slot: Slot,
    facts: Facts,
    mind: Mind,
    portfolio: Portfolio,
    *,
    narratives: Sequence[Narrative],
    stance: Stance | None,
    strategies: Sequence[str],
    sectors: Mapping[str, str],
    proposals: Sequence[Proposal],
    found: Sequence[Candidate],
    parameters: Parameters | None = None,
) -> tuple[Remarked, ...]:
    """Why each proposal that is no candidate is none: title, sentence, symbol. One for another kind of slot is left for that."""
    keys = {each.key for each in found if not each.switched_off}
    missed = [p for p in proposals if (p.strategy, p.symbol, p.side) not in keys and not _waits(p, slot)]
    if not missed:
        return ()
    stage = _stage(slot, facts, mind, portfolio, narratives, stance, strategies, sectors, parameters)
    return tuple(("proposal refused", f"{_words(p)}: {_refusal(stage, p)}", p.symbol) for p in missed)


def _stage(
    slot: Slot,
    facts: Facts,
    mind: Mind,
    portfolio: Portfolio,
    narratives: Sequence[Narrative],
    stance: Stance | None,
    strategies: Sequence[str],
    sectors: Mapping[str, str],
    parameters: Parameters | None,
) -> _Stage:
    told, tuned = {narrative.symbol: narrative for narrative in narratives}, parameters or Parameters()
    return _Stage(slot, facts, mind, portfolio.symbols, told, stance, acting(slot, strategies), sectors, tuned)


def _found(stage: _Stage) -> Iterator[Candidate]:
    for strategy in stage.strategies:
        if _stance_refuses(stage, strategy):
            continue
        if strategy.setup is None:
            yield from _pair_legs(stage, strategy)
            continue
        for symbol in sorted(stage.facts.symbols):
            made = _single(stage, strategy, symbol)
            if isinstance(made, Candidate):
                yield _marked(stage, made)


def _single(stage: _Stage, strategy: Strategy, symbol: str) -> Candidate | str:
    """The candidate of a strategy that needs one symbol, or the sentence why there is none."""
    known = _entitled(stage, strategy, symbol, "long")
    if isinstance(known, str):
        return known
    thesis = _thesis(stage, symbol)
    if isinstance(thesis, str):
        return thesis
    scene = Scene(stage.slot, stage.facts, known, stage.narratives.get(symbol), stage.sectors, stage.parameters)
    setup = strategy.setup(scene) if strategy.setup else None
    if setup is None:
        return f"{strategy.name} sees no setup in {symbol}"
    liquidity = liquidity_of(symbol, stage.facts, stage.slot)
    made = _candidate(strategy, known, "long", thesis, setup, liquidity)
    return made or f"{symbol} wins too little for what it risks at the price that its liquidity allows"


def _marked(stage: _Stage, candidate: Candidate, *legs: Candidate) -> Candidate:
    """The candidate, marked where its strategy is switched off in its view; a pair where it is in the view of either leg."""
    off = any(stage.parameters.stops(each.strategy, each.view) for each in (candidate, *legs))
    return candidate.model_copy(update={"switched_off": True}) if off else candidate


def _pair_legs(stage: _Stage, strategy: Strategy) -> Iterator[Candidate]:
    """Both legs of every pair; a symbol stands in one pair only, the surest."""
    used: set[str] = set()
    for gap in gaps(stage.facts):
        if used & {gap.long, gap.short}:
            continue
        legs = _legs(stage, strategy, gap)
        if not isinstance(legs, str):
            used |= {gap.long, gap.short}
            yield from (_marked(stage, each, *legs) for each in legs)


def _legs(stage: _Stage, strategy: Strategy, gap: Gap) -> tuple[Candidate, Candidate] | str:
    """Both legs on the thesis of the one that is bought, or the sentence why there is no pair.

    What is sold short must not be believed in more than what is bought: a pair says that the one gains on the other.
    """
    bought, sold = _entitled(stage, strategy, gap.long, "long"), _entitled(stage, strategy, gap.short, "short")
    thesis, rival = _thesis(stage, gap.long), stage.mind.of(gap.short, "long")
    if isinstance(bought, str) or isinstance(sold, str) or isinstance(thesis, str):
        return next(each for each in (bought, sold, thesis) if isinstance(each, str))
    if rival is not None and rival.confidence >= thesis.confidence:
        return f"the thesis on {gap.short} ({rival.confidence:.2f}) is as sure as that on {gap.long}"
    tuned = stage.parameters
    long_setup, short_setup = leg(bought, "long", gap, tuned), leg(sold, "short", gap, tuned)
    if long_setup is None or short_setup is None:
        return f"{gap.long} or {gap.short} has no average true range that leaves room for stop and target"
    name = short_id("pair", stage.slot.session.day, stage.slot.label, gap.long, gap.short)
    mine, theirs = (liquidity_of(symbol, stage.facts, stage.slot) for symbol in (gap.long, gap.short))
    long = _candidate(strategy, bought, "long", thesis, long_setup, calmer(mine, theirs), pair=name)
    short = _candidate(strategy, sold, "short", thesis, short_setup, calmer(theirs, mine), pair=name)
    return (long, short) if long and short else f"{gap.long} or {gap.short} wins too little for what it risks"


def _candidate(
    strategy: Strategy,
    known: SymbolFacts,
    side: PlanSide,
    thesis: Thesis,
    setup: Setup,
    liquidity: Liquidity,
    *,
    pair: str = "",
) -> Candidate | None:
    made = styled(setup, side, liquidity)
    if made is None:
        return None
    return Candidate(
        strategy=strategy.name,
        symbol=known.symbol,
        side=side,
        view=known.view,
        thesis_id=thesis.id,
        confidence=thesis.confidence,
        reference=setup.reference,
        entry=made.entry,
        stop=made.stop,
        target=made.target,
        size_fraction=made.size_fraction,
        style=made.style,
        flat_by_close=setup.flat_by_close,
        pair=pair,
        reasons=(*setup.reasons, made.reason),
    )


def _entitled(stage: _Stage, strategy: Strategy, symbol: str, side: PlanSide) -> SymbolFacts | str:
    """The symbol's facts, if the strategy may open that side of it now; else the sentence why not."""
    known = stage.facts.symbols.get(symbol)
    if known is None:
        return f"no bar of the last session is known of {symbol}"
    if symbol in stage.taken:
        return f"{symbol} is held or has an entry on its way"
    if known.split_ratio != 1:
        return f"a split of {symbol} takes effect today"
    if known.view not in strategy.views_of(side):
        return f"{strategy.name} does not open a {side} position while the view of {symbol} is {known.view}"
    return known


def _thesis(stage: _Stage, symbol: str) -> Thesis | str:
    """The live long thesis that a purchase may stand on, or the sentence why there is none."""
    thesis = stage.mind.of(symbol, "long")
    if thesis is None:
        return f"there is no live long thesis on {symbol}"
    if thesis.status != "active":
        return f"the long thesis on {symbol} is {thesis.status}"
    if thesis.confidence < CONFIDENCE_MIN:
        return f"the confidence of the long thesis on {symbol} is {thesis.confidence:.2f}, below {CONFIDENCE_MIN}"
    return thesis


def _stance_refuses(stage: _Stage, strategy: Strategy) -> str | None:
    stance = stage.stance
    if stance is None:
        return "there is no stance of the day"
    if stance.size_fraction <= 0:
        return f"the stance of the day is {stance.stance}"
    return None if strategy.name in stance.strategies else f"the stance of the day leaves out {strategy.name}"


def _asked_for(candidate: Candidate, proposals: Sequence[Proposal]) -> Candidate:
    """The candidate with the id of the first proposal that asked for it."""
    asked = [p for p in proposals if (p.strategy, p.symbol, p.side) == candidate.key]
    first = min(asked, key=lambda p: (p.at, p.id), default=None)
    return candidate.model_copy(update={"proposal": first.id}) if first else candidate


def _waits(proposal: Proposal, slot: Slot) -> bool:
    """Whether its strategy acts at the open while this slot is later, or the other way round."""
    strategy = STRATEGIES.get(proposal.strategy)
    return strategy is not None and strategy.intraday == slot.is_first


def _words(proposal: Proposal) -> str:
    return f"{proposal.author} asked for {proposal.strategy} in {proposal.symbol}, {proposal.side}"


def _refusal(stage: _Stage, proposal: Proposal) -> str:
    strategy = STRATEGIES.get(proposal.strategy)
    if strategy is None or strategy not in stage.strategies:
        return "the settings leave the strategy out, or it enters nothing so late in the session"
    refused = _stance_refuses(stage, strategy)
    if refused:
        return refused
    if strategy.setup is None:
        return _pair_refusal(stage, strategy, proposal)
    if proposal.side == "short":
        return f"{strategy.name} sells nothing short"
    made = _single(stage, strategy, proposal.symbol)
    if isinstance(made, str):
        return made
    off = stage.parameters.stops(made.strategy, made.view)
    return _OFF.format(made.strategy, made.view) if off else "it was not among the setups that the slot found"


def _pair_refusal(stage: _Stage, strategy: Strategy, proposal: Proposal) -> str:
    for gap in gaps(stage.facts):
        if proposal.symbol == (gap.long if proposal.side == "long" else gap.short):
            legs = _legs(stage, strategy, gap)
            if isinstance(legs, str):
                return legs
            off = next((each for each in legs if stage.parameters.stops(each.strategy, each.view)), None)
            return _OFF.format(off.strategy, off.view) if off else "one of its legs stands in a surer pair"
    return f"no pair came apart far enough with {proposal.symbol} on the {proposal.side} side"
