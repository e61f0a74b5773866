"""From candidates to entries: quorum, consensus, the trader's choice, size; and for every vote what became of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trading_assets.plans.context import Context
from trading_assets.plans.ensemble import Tally, tally
from trading_assets.plans.model import Candidate, TradePlan, Vote
from trading_assets.plans.quorum import Refusal, refused
from trading_assets.plans.sizing import Sized, Taken, risk_per_share, sized

Key = tuple[str, str, str]
Idea = tuple[Candidate, ...]
Row = dict[str, Any]
Remarked = tuple[str, str, str]
PLANNED = Refusal("planned")
WITHHELD = Refusal("withheld: switched off")
_LEGS = 2


@dataclass(frozen=True, slots=True)
class Judged:
    """One idea, what the personas made of it, its size, and the word on it: planned, or why not."""

    idea: Idea
    tally: Tally
    size: Sized
    word: Refusal

    @property
    def planned(self) -> bool:
        """Whether it is traded."""
        return self.word is PLANNED


def judged_ideas(
    context: Context,
    candidates: Sequence[Candidate],
    votes: Sequence[Vote],
    choice: Sequence[Key],
    weights: Mapping[str, float],
    *,
    busy: Collection[str],
    taken: Taken,
    flatten: str | None,
) -> tuple[Judged, ...]:
    """Every idea with the word on it, in the trader's order, those that it did not choose last. One idea for each symbol.

    What is switched off comes after all others and takes nothing from them: it is judged and sized as if it stood alone, and not
    shown to the trader.

    Args:
        busy: Symbols that have a plan in this slot.
        taken: Risk that additions of this slot ask for.
    """
    done, moving = list[Judged](), set(busy)
    for idea in sorted(_ideas(candidates), key=lambda each: (each[0].switched_off, _rank(each, choice))):
        said, off = tally(idea, votes, weights), idea[0].switched_off
        word = Refusal(f"exits only: {flatten}") if flatten else _refusal(context, idea, said, choice, moving)
        size = sized(idea, context.stance_fraction, context.room, Taken() if off else taken)
        if word is None:
            agreed = WITHHELD if off else PLANNED
            word = Refusal(size.refusal, silence=size.for_related) if size.refusal else agreed
        if word is PLANNED:
            moving |= {leg.symbol for leg in idea}
            for leg, quantity in zip(idea, size.quantities, strict=True):
                risk, value = risk_per_share(leg) * quantity, leg.entry * quantity
                taken = taken.plus(leg.symbol, risk, strategy=leg.strategy, value=value)
        done.append(Judged(idea, said, size, word))
    return tuple(done)


def entry_plans(context: Context, judged: Sequence[Judged], word: Refusal = PLANNED) -> Iterator[TradePlan]:
    """The plans of what is traded, or of what is `WITHHELD`; both legs of a pair follow each other."""
    for each in judged:
        if each.word is word:
            for leg, quantity in zip(each.idea, each.size.quantities, strict=True):
                yield _plan(context, leg, quantity, each.tally)


def vote_rows(
    context: Context, judged: Sequence[Judged], votes: Sequence[Vote], weights: Mapping[str, float]
) -> list[Row]:
    """Rows of VOTES: every vote that counts, by idea and persona, with what the persona would have done alone.

    Alone it would have bought what it votes for, in the size that the book had room for before this slot's plans.
    """
    said: dict[tuple[str, Key], Vote] = {}
    for vote in votes:
        said.setdefault((vote.persona, vote.key), vote)
    rows = list[Row]()
    for each in judged:
        alone = sized(each.idea, context.stance_fraction, context.room, Taken()).quantities
        for leg, quantity in zip(each.idea, alone, strict=True):
            given = [said[persona, leg.key] for persona in sorted(weights) if (persona, leg.key) in said]
            own = each.tally.consensus if each.tally.consensus is not None else tally((leg,), given, weights).consensus
            for vote in given:
                enters = each.tally.votes.get(vote.persona, 0.0) > 0 and quantity > 0
                rows.append(_row(context, vote, own, weights, quantity if enters else 0, each.word.sentence))
    return rows


def remarks_on(judged: Sequence[Judged]) -> Iterator[Remarked]:
    """One remark for each reason of silence or shared risk, naming the setups that were left for it."""
    by_sentence: dict[str, list[Idea]] = {}
    for each in judged:
        if each.word.silence:
            by_sentence.setdefault(each.word.sentence, []).append(each.idea)
    for sentence, ideas in by_sentence.items():
        legs = [leg for idea in ideas for leg in idea]
        names = ", ".join(f"{leg.strategy} {leg.symbol}" for leg in legs)
        symbols = {leg.symbol for leg in legs}
        yield "setups left", f"{sentence}: {names}", min(symbols) if len(symbols) == 1 else ""


def _ideas(candidates: Sequence[Candidate]) -> Iterator[Idea]:
    """Single candidates, and the two legs of each pair, what is bought first."""
    pairs: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.pair:
            pairs.setdefault(candidate.pair, []).append(candidate)
        else:
            yield (candidate,)
    for legs in pairs.values():
        yield tuple(sorted(legs, key=lambda leg: (leg.side, leg.symbol)))


def _rank(idea: Idea, choice: Sequence[Key]) -> tuple[int, int, float, Key]:
    """The trader's place for the idea; what it did not choose comes last, by confidence and name."""
    places = [choice.index(leg.key) for leg in idea if leg.key in choice]
    whole = len(places) == len(idea)
    return (0 if whole else 1, min(places) if whole else 0, -idea[0].confidence, idea[0].key)


def _refusal(
    context: Context, idea: Idea, said: Tally, choice: Sequence[Key], moving: Collection[str]
) -> Refusal | None:
    symbols = [leg.symbol for leg in idea]
    if context.stance is None:
        return Refusal("there is no stance of the day")
    if idea[0].pair and (len(idea) != _LEGS or len({leg.side for leg in idea}) != _LEGS):
        return Refusal("a pair without its other leg")
    lacking = refused(symbols, said, context.heard, context.agents)
    if lacking is not None:
        return lacking
    if idea[0].switched_off:
        return None
    chosen = [leg.key in choice for leg in idea]
    if not all(chosen):
        return Refusal("the trader chose one leg of the pair" if any(chosen) else "not chosen by the trader")
    taken = sorted(set(symbols) & set(moving))
    if taken:
        return Refusal(f"another plan moves {taken[0]} in this slot")
    return _penniless(context, idea)


def _penniless(context: Context, idea: Idea) -> Refusal | None:
    """No cash for one share of what is bought."""
    free = context.room.free_cash
    dearest = max((leg.entry for leg in idea if leg.side == "long"), default=None)
    return Refusal(f"no cash: {free:,.2f} USD are free") if dearest is not None and free < dearest else None


def _plan(context: Context, candidate: Candidate, quantity: int, said: Tally) -> TradePlan:
    agreed = f"{len(said.votes)} personas agree with a weighted consensus of {said.consensus:+.2f}"
    return TradePlan(
        session=context.slot.session.day,
        slot=context.slot.label,
        as_of=context.slot.at,
        action="enter",
        strategy=candidate.strategy,
        symbol=candidate.symbol,
        regime=candidate.view,
        quantity=quantity,
        reference=candidate.reference,
        entry=candidate.entry,
        stop=candidate.stop,
        target=candidate.target,
        thesis_id=candidate.thesis_id,
        confidence=candidate.confidence,
        reasons=(*candidate.reasons, agreed),
        side=candidate.side,
        style=candidate.style,
        flat_by_close=candidate.flat_by_close,
        pair=candidate.pair,
        proposal=candidate.proposal,
        votes=said.votes,
        consensus=said.consensus,
    )


def _row(
    context: Context, vote: Vote, consensus: float | None, weights: Mapping[str, float], quantity: int, outcome: str
) -> Row:
    return {
        "session": context.slot.session.day,
        "slot": context.slot.label,
        **vote.model_dump(),
        "weight": weights[vote.persona],
        "alone": "enter" if quantity else "pass",
        "consensus": consensus,
        "outcome": outcome,
        "quantity_alone": quantity,
        "knowable_at": context.slot.at,
    }
