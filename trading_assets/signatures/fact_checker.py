"""The fact checker: a signer that believes nothing of a plan that it cannot compute again from what it cites.

It reads the facts a second time, as they were knowable at the plan's own moment, and compares: the price that the plan starts from,
the arithmetic of its bracket, the regime and the thesis that it names, every citation of what was said of its symbol, the shares
that the broker holds, and, where there is one, the quote. A number that differs is a veto. What only reduces is held to its shape
and to the shares held, and to nothing else: a wrong regime is no reason to keep a position.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Protocol

from trading_assets.briefs.fact_check import check_evidence
from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.broker.model import Quote
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DeskError
from trading_assets.core.money import to_tick, usd
from trading_assets.core.slots import Slot, slots_of
from trading_assets.plans.model import TradePlan
from trading_assets.plans.strategies import STRATEGIES
from trading_assets.plans.strategies.intraday import fresh_bar
from trading_assets.plans.strategies.model import ENTRY_CAP, REWARD_TO_RISK_MIN
from trading_assets.regimes.model import MARKET
from trading_assets.signatures.model import Breach, Verdict
from trading_assets.theses.debate import ArguedCase
from trading_assets.theses.model import Mind, Thesis

SIGNER = "fact_checker"
QUANTITY_MAX = 1_000_000
COLLAR = Decimal("0.03")
CONFIDENCE_STEP = 1e-6
Wrong = Iterator[tuple[str, str]]


class Said(Protocol):
    """What analysts, narrators and researchers said, each with the rows that they cite."""

    @property
    def briefs(self) -> Sequence[Brief]:
        """The analysts' views."""
        ...

    @property
    def narratives(self) -> Sequence[Narrative]:
        """What the news tells."""
        ...

    @property
    def cases(self) -> Sequence[ArguedCase]:
        """The debate."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    """Everything that a plan is compared with; `signing` says that what is unknown refuses."""

    facts: Facts | None
    unread: str
    said: Said
    mind: Mind
    held: Mapping[str, int] | None
    quote: Quote | None
    signing: bool


@dataclass(frozen=True, slots=True)
class _Check:
    """One comparison: its id, its name, and what it finds wrong, each as a value and the bound that it misses."""

    id: str
    name: str
    find: Callable[[TradePlan, _Known], Wrong]


def check_facts(
    plan: TradePlan,
    facts: Facts,
    said: Said,
    *,
    mind: Mind,
    held: Mapping[str, int] | None = None,
    quote: Quote | None = None,
) -> Verdict:
    """The verdict at the decision.

    Args:
        plan: What is to be signed.
        facts: What was knowable at the plan's moment.
        said: What the decision heard.
        mind: The theses after the slot.
        held: Shares by symbol as the broker last told them, negative when owed; None where there is no broker.
        quote: The market now; None where there is none.
    """
    return _verdict(plan, _Known(facts, "", said, mind, held, quote, signing=False))


def recheck(
    plan: TradePlan,
    read: Callable[[datetime], Facts],
    said: Said,
    *,
    mind: Mind,
    held: Mapping[str, int] | None,
    quote: Quote | None,
) -> Verdict:
    """The verdict at the moment of signing: the facts of the plan's moment are read anew, and what is unknown refuses.

    Args:
        read: Reads the lake as of an instant; a DeskError is a veto for what opens.
        held: As above; None is a veto.
        quote: As above. The gateway compares every order with the live quote once more.
    """
    try:
        facts, unread = read(plan.as_of), ""
    except DeskError as failed:
        facts, unread = None, failed.what
    return _verdict(plan, _Known(facts, unread, said, mind, held, quote, signing=True))


def _verdict(plan: TradePlan, known: _Known) -> Verdict:
    checks = CHECKS if plan.opens else REDUCING_CHECKS
    breaches = tuple(breach for check in checks for breach in _breaches(check, plan, known))
    return Verdict(
        signer=SIGNER,
        plan_id=plan.id,
        plan_digest=plan.digest,
        ruling="veto" if breaches else "approve",
        quantity=0 if breaches else plan.quantity,
        breaches=breaches,
    )


def _breaches(check: _Check, plan: TradePlan, known: _Known) -> Iterator[Breach]:
    """A comparison that cannot be made is a breach like one that fails."""
    try:
        wrong = list(check.find(plan, known))
    except (ArithmeticError, TypeError, ValueError, KeyError, AttributeError, DeskError) as absurd:
        wrong = [(f"cannot be computed ({type(absurd).__name__})", "finite values of known facts")]
    for value, bound in wrong:
        sentence = f"{check.id} {check.name}: {value}, bound {bound}"
        yield Breach(control=check.id, value=value, bound=bound, sentence=sentence)


def _numbers(plan: TradePlan, _: _Known) -> Wrong:
    """A plan is a frozen value and no boundary: what it holds is looked at again."""
    whole = isinstance(plan.quantity, int) and not isinstance(plan.quantity, bool)
    if not (whole and 0 < plan.quantity <= QUANTITY_MAX):
        yield f"{plan.quantity!r} shares", f"a whole number from 1 to {QUANTITY_MAX}"
    prices = (("reference", plan.reference), ("entry", plan.entry), ("stop", plan.stop), ("target", plan.target))
    for name, price in prices:
        if price is not None and not (isinstance(price, Decimal) and price.is_finite() and price > 0):
            yield f"{name} {price!r}", "a finite price above 0"


def _moment(plan: TradePlan, known: _Known) -> Wrong:
    slot = next(iter(slots_of(XNYS.session(plan.session), (plan.slot,))), None)
    if slot is None or slot.at != plan.as_of:
        yield f"{plan.session} {plan.slot} is said to be {plan.as_of.isoformat()}", "a slot of the session"
    facts = known.facts
    if facts is None:
        if plan.opens:
            yield f"the facts cannot be read again: {known.unread}", "facts of the plan's moment"
        return
    if facts.as_of != plan.as_of:
        yield f"facts as of {facts.as_of.isoformat()}", plan.as_of.isoformat()
    before = XNYS.previous(plan.session).day
    if plan.opens and facts.session != before:
        yield f"facts of session {facts.session}", str(before)


def _knowable(plan: TradePlan, known: _Known) -> Wrong:
    """No row that the plan stands on may have become known after it."""
    facts, of_symbol = _facts(known), _symbol(plan, known)
    rows = {
        "bar": of_symbol.bar,
        "indicators": of_symbol.indicators,
        "indicators before": of_symbol.previous,
        "regime": of_symbol.regime,
        "market regime": facts.market_regime,
        "breadth": facts.breadth,
        "liquidity": facts.liquidity.get(plan.symbol),
        "intraday bar": facts.intraday.get(plan.symbol),
    }
    for name, row in rows.items():
        if row and not row["knowable_at"] <= plan.as_of:
            yield f"{name} of {plan.symbol} became known at {row['knowable_at'].isoformat()}", plan.as_of.isoformat()
    said: Iterator[Brief | Narrative] = chain(known.said.briefs, known.said.narratives)
    for each in said:
        if each.symbol in {plan.symbol, MARKET} and not each.as_of <= plan.as_of:
            yield f"something was said of {each.symbol} at {each.as_of.isoformat()}", plan.as_of.isoformat()


def _reference(plan: TradePlan, known: _Known) -> Wrong:
    """A strategy of the session's own bars starts from the newest of them, every other plan from the last close."""
    of_symbol, strategy = _symbol(plan, known), STRATEGIES[plan.strategy]
    if of_symbol.session != _facts(known).session:
        yield f"the last bar of {plan.symbol} is of {of_symbol.session}", str(_facts(known).session)
    if of_symbol.split_ratio != 1:
        yield f"a split of {plan.symbol} in the ratio {of_symbol.split_ratio}", "prices in one share count"
    if strategy.intraday and plan.action == "enter":
        slot = Slot(XNYS.session(plan.session), plan.slot, plan.as_of)
        bar = fresh_bar(_facts(known).intraday.get(plan.symbol), slot)
        expected = Decimal(str(bar["close"])) if bar is not None else None
    else:
        expected = usd(usd(of_symbol.bar["close"]) / of_symbol.split_ratio)
    if expected is None or plan.reference != expected:
        yield f"reference {plan.reference}", f"{expected if expected is not None else 'a fresh bar of the session'}"


def _entry(plan: TradePlan, _: _Known) -> Wrong:
    """Never worse than half a percent beyond the reference, never further from it on the better side than the collar."""
    sign = 1 if plan.side == "long" else -1
    worst = to_tick(plan.reference * (1 + sign * ENTRY_CAP))
    best = to_tick(plan.reference * (1 - sign * COLLAR))
    low, high = sorted((worst, best))
    if not low <= plan.entry <= high:
        yield f"entry {plan.entry} from reference {plan.reference}", f"{low} to {high}"


def _bracket(plan: TradePlan, _: _Known) -> Wrong:
    stop, entry, target = plan.stop, plan.entry, plan.target
    if stop is None or target is None:
        yield f"stop {stop}, target {target}", "both"
    elif not (0 < stop < entry < target if plan.side == "long" else 0 < target < entry < stop):
        words = "stop < entry < target" if plan.side == "long" else "target < entry < stop"
        yield f"{plan.side}: stop {stop}, entry {entry}, target {target}", words


def _reward(plan: TradePlan, _: _Known) -> Wrong:
    if plan.stop is None or plan.target is None:
        return
    ratio = abs(plan.target - plan.entry) / abs(plan.entry - plan.stop)
    if not ratio >= REWARD_TO_RISK_MIN:
        yield f"wins {ratio:.4f} times what it risks", f"at least {REWARD_TO_RISK_MIN}"


def _regime(plan: TradePlan, known: _Known) -> Wrong:
    row = _symbol(plan, known).regime
    view = str(row["strategy_view"]) if row else "unknown"
    if plan.regime != view:
        yield f"regime {plan.regime}", view


def _thesis(plan: TradePlan, known: _Known) -> Wrong:
    """The leg of a pair that is sold stands on the long thesis of the one that is bought."""
    thesis = next((each for each in known.mind.theses if each.id == plan.thesis_id), None)
    if thesis is None:
        yield f"thesis {plan.thesis_id or 'none'}", "a thesis of the book"
        return
    sold_leg = bool(plan.pair) and plan.side == "short"
    about, direction = ("another symbol", "long") if sold_leg else (plan.symbol, plan.side)
    if (thesis.symbol != plan.symbol) != sold_leg or thesis.direction != direction:
        yield f"the thesis is {thesis.direction} on {thesis.symbol}", f"{direction} on {about}"
    yield from _life(thesis, plan)
    if not abs(thesis.confidence - plan.confidence) <= CONFIDENCE_STEP:
        yield f"confidence {plan.confidence}", f"that of the thesis, {thesis.confidence}"


def _life(thesis: Thesis, plan: TradePlan) -> Wrong:
    if thesis.status != "active" or thesis.ended is not None or thesis.outcome is not None:
        yield f"the thesis is {thesis.outcome or thesis.status}", "active"
    if not thesis.formed_at <= plan.as_of or thesis.expires < plan.session:
        yield f"the thesis lives from {thesis.formed_at.isoformat()} to {thesis.expires}", plan.as_of.isoformat()


def _citations(plan: TradePlan, known: _Known) -> Wrong:
    """Every row that was cited about the symbol or about the market; a symbol of which nobody said anything has none."""
    facts, about = _facts(known), {plan.symbol, MARKET}
    said = [
        *((f"brief of {each.agent}", each.evidence) for each in known.said.briefs if each.symbol in about),
        *(("narrative", each.evidence) for each in known.said.narratives if each.symbol in about),
        *((f"{each.case.side} case", each.citations) for each in known.said.cases if each.case.symbol == plan.symbol),
    ]
    if not said:
        yield f"nothing was said of {plan.symbol} or of the market", "a brief whose citations can be read again"
    found: dict[tuple[object, ...], str | None] = {}
    for who, evidence in said:
        wrong = next((words for each in evidence if (words := _reread(each, facts, found)) is not None), None)
        if wrong is not None:
            yield f"{who}: {wrong}", "the same as cited"


def _reread(cited: Evidence, facts: Facts, found: dict[tuple[object, ...], str | None]) -> str | None:
    """What is wrong with a citation. Several voices cite the same rows, and each row is read once."""
    key = (cited.table, cited.session, cited.symbol, cited.column, cited.value)
    if key not in found:
        found[key] = check_evidence(cited, facts)
    return found[key]


def _held(plan: TradePlan, known: _Known) -> Wrong:
    if known.held is None:
        if known.signing:
            yield f"the shares of {plan.symbol} at the broker are not known", "a snapshot of positions"
        return
    shares = known.held.get(plan.symbol, 0)
    own = shares if plan.side == "long" else -shares
    if plan.opens and not own >= 0:
        yield f"{plan.side} while {shares} shares of {plan.symbol} are held", "one side of a symbol"
    if not plan.opens and not plan.quantity <= own:
        yield f"{plan.quantity} shares of {plan.symbol} to close, {plan.side}", f"{max(own, 0)} held on that side"


def _quote(plan: TradePlan, known: _Known) -> Wrong:
    quote = known.quote
    if quote is None:
        return
    mid = quote.mid
    if quote.symbol != plan.symbol or quote.kind != "live" or quote.halted or mid is None:
        told = f"{quote.kind} quote of {quote.symbol}, bid {quote.bid}, ask {quote.ask}"
        yield f"{told}{', halted' if quote.halted else ''}", f"a live two-sided quote of {plan.symbol}"
    elif not abs(mid / plan.reference - 1) <= COLLAR:
        yield f"the market stands at {mid}, {mid / plan.reference - 1:+.2%} from the reference", f"{COLLAR:.0%}"


def _facts(known: _Known) -> Facts:
    if known.facts is None:
        raise KeyError("facts")
    return known.facts


def _symbol(plan: TradePlan, known: _Known) -> SymbolFacts:
    return _facts(known).symbols[plan.symbol]


_NUMBERS = _Check("F1", "numbers", _numbers)
_MOMENT = _Check("F2", "moment", _moment)
_HELD = _Check("F11", "shares held", _held)
CHECKS: tuple[_Check, ...] = (
    _NUMBERS,
    _MOMENT,
    _Check("F3", "knowable", _knowable),
    _Check("F4", "reference", _reference),
    _Check("F5", "entry", _entry),
    _Check("F6", "bracket", _bracket),
    _Check("F7", "reward to risk", _reward),
    _Check("F8", "regime", _regime),
    _Check("F9", "thesis", _thesis),
    _Check("F10", "citations", _citations),
    _HELD,
    _Check("F12", "quote", _quote),
)
REDUCING_CHECKS: tuple[_Check, ...] = (_NUMBERS, _MOMENT, _HELD)
