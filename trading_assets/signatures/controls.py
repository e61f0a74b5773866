"""The catalogue: every control in one list, in its order, with the limits that bound it and the place where it is judged.

A control answers how many of the plan's shares it allows. At the decision the smallest answer is what may be traded, and less
than one share is a veto; at sending nothing is shrunk any more, and allowing less than was signed is a veto. Controls never enlarge
a plan, and a value that cannot be computed allows nothing. What reduces is asked only what would make it no reduction, or not ours:
never whether the desk may open.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from trading_assets.plans.model import TradePlan
from trading_assets.signatures import market_rules, order_rules, plan_rules, sender_rules
from trading_assets.signatures.allowance import Allowance, Surroundings, is_whole
from trading_assets.signatures.model import Breach, Ruling, Verdict
from trading_assets.signatures.order_rules import SendingRule, entry_of
from trading_assets.signatures.plan_rules import PlanRule
from trading_assets.signatures.sending import AtSending

SIGNER = "gateway"
Where = Literal["plan", "sending", "state", "slot", "ledger"]
_OPENING_AT_SENDING = {**sender_rules.OPENING, **order_rules.OPENING, **market_rules.OPENING}
_REDUCING_AT_SENDING = {**sender_rules.REDUCING, **order_rules.REDUCING}


@dataclass(frozen=True, slots=True)
class Control:
    """One control: its id in docs/safety.md, its name, and the fields of the preferences that bound it.

    `elsewhere` is where it is judged when it has no rule about a single plan: by the trading state (which C1 asks), over all plans
    of a slot, or by a unique index of the ledger.
    """

    id: str
    name: str
    keys: tuple[str, ...] = ()
    elsewhere: Where | None = None

    @property
    def plan_rule(self) -> PlanRule | None:
        """Asked of what opens, at the decision and at sending."""
        return plan_rules.OPENING.get(self.id)

    @property
    def exit_rule(self) -> PlanRule | None:
        """Asked of what reduces, at the decision and at sending."""
        return plan_rules.REDUCING.get(self.id)

    @property
    def sending_rule(self) -> SendingRule | None:
        """Asked of what opens, at sending."""
        return _OPENING_AT_SENDING.get(self.id)

    @property
    def leaving_rule(self) -> SendingRule | None:
        """Asked of what reduces, at sending."""
        return _REDUCING_AT_SENDING.get(self.id)

    @property
    def where(self) -> Where:
        """Where it is judged first: what is judged of a plan is judged again at sending."""
        return self.elsewhere or ("plan" if self.plan_rule or self.exit_rule else "sending")


CONTROLS: tuple[Control, ...] = (
    Control("C1", "trading state"),
    Control("C2", "signatures"),
    Control("C3", "quantity per order", ("order_quantity_max",)),
    Control("C4", "notional per order", ("order_notional_usd_max",)),
    Control("C5", "collar against the quote", ("collar_fraction_max",)),
    Control("C6", "limit on what opens", ("marketable_fraction_max",)),
    Control("C7", "position per symbol", ("position_fraction_max",)),
    Control("C8", "concurrent positions", ("positions_max",)),
    Control("C9", "gross exposure", ("gross_exposure_fraction_max",)),
    Control("C9b", "free cash"),
    Control("C9c", "net exposure", ("net_exposure_fraction_max",)),
    Control("C10", "sector concentration", ("sector_fraction_max",)),
    Control("C11", "daily loss", ("daily_loss_reduce_only_fraction", "daily_loss_halt_fraction"), "state"),
    Control("C12", "drawdown", ("drawdown_halt_fraction",), "state"),
    Control("C13", "stop-outs in a session", ("stop_outs_reduce_only",), "state"),
    Control("C14", "order rate", ("orders_per_minute_max", "orders_per_day_max", "symbol_pause_seconds_min")),
    Control("C15", "repeated entries", ("entries_per_symbol_max",)),
    Control("C16", "duplicate order", (), "ledger"),
    Control("C17", "symbol with one contract", ("universe_max",)),
    Control("C18", "minimum price", ("price_usd_min",)),
    Control("C18b", "share of average volume", ("order_share_of_volume_max",)),
    Control("C18c", "instrument", ("average_volume_min",)),
    Control("C19", "stop distance", ("stop_distance_fraction_min", "stop_distance_fraction_max")),
    Control("C19b", "reward to risk", ("reward_to_risk_min",)),
    Control("C19c", "bracket", ("stop_distance_fraction_min", "stop_distance_fraction_max")),
    Control("C20", "risk per trade", ("risk_per_trade_fraction_max",)),
    Control("C20b", "risk of related theses", ("related_risk_fraction_max",)),
    Control("C21", "margin", ("margin_fraction_max",)),
    Control("C22", "intraday margin"),
    Control("C23", "entry hours", ("entries_from", "entries_until")),
    Control("C24", "halts and breakers", ("reopening_minutes_min",)),
    Control("C25", "freshness", ("quote_age_seconds_max", "bar_age_intervals_max", "clock_skew_seconds_max")),
    Control("C26", "second price", ("second_price_fraction_max",)),
    Control("C27", "one side of a symbol"),
    Control("C28", "short sales", ("short_selling",)),
    Control("C28b", "short exposure", ("short_exposure_fraction_max",)),
    Control("C28c", "shares to borrow"),
    Control("C29", "account"),
    Control("C30", "desk capital", ("capital_excess_usd_max",)),
    Control("C31", "model cost"),
    Control("C32", "limits hash"),
    Control("C33", "lease"),
    Control("C34", "reconciled", ("reconciled_seconds_max",)),
    Control("A1", "additions"),
    Control("A2", "size of additions"),
    Control("A3", "adding to a loser", ("add_to_losers",)),
    Control("P1", "pairs", (), "slot"),
    Control("X1", "shares held"),
)
QUANTITY = CONTROLS[2]
_PLAN_RULES = tuple((each, each.plan_rule) for each in CONTROLS if each.plan_rule)
_EXIT_RULES = tuple((each, each.exit_rule) for each in CONTROLS if each.exit_rule)

_PLACES = {control.id: place for place, control in enumerate(CONTROLS)}

Answer = tuple[Control, Allowance]


def answers(plan: TradePlan, around: Surroundings) -> list[Answer]:
    """What every control says that needs the plan and its surroundings alone, in the catalogue's order."""
    rules = _PLAN_RULES if plan.opens else _EXIT_RULES
    return [(control, _asked(rule, plan, around)) for control, rule in rules]


def judge_at_sending(plan: TradePlan, around: Surroundings, sending: AtSending) -> Verdict:
    """The last word on an intent, at the moment of sending: it goes as it was signed, or not at all.

    Rules about money and risk count the limit that is sent, which may be better than the plan's.
    """
    signed = is_whole(sending.quantity) and is_whole(plan.quantity) and sending.quantity <= plan.quantity
    whole = plan.model_copy(update={"quantity": sending.quantity if signed else 1})
    found = answers(_as_sent(whole, sending), around)
    for control in CONTROLS:
        rule = control.sending_rule if plan.opens else control.leaving_rule
        if rule is not None:
            found.append((control, _asked(rule, whole, around, sending)))
    found.sort(key=lambda answer: _PLACES[answer[0].id])
    if not signed:
        told = f"{sending.quantity} of {plan.quantity} shares"
        found.insert(0, (QUANTITY, Allowance(0, told, "a whole number, at most what was planned")))
    return _strict(verdict(SIGNER, plan, whole.quantity, found))


def verdict(signer: str, plan: TradePlan, quantity: int, found: Iterable[Answer]) -> Verdict:
    """The smallest answer decides; every answer below the quantity asked for is a breach."""
    listed = list(found)
    allowed = max(0, min([quantity, *(allowance.quantity for _, allowance in listed)]))
    breaches = tuple(_breach(control, each, quantity) for control, each in listed if each.quantity < quantity)
    ruling: Ruling = "veto" if allowed < 1 else "approve" if allowed == quantity else "shrink"
    return Verdict(
        signer=signer, plan_id=plan.id, plan_digest=plan.digest, ruling=ruling, quantity=allowed, breaches=breaches
    )


def _asked(rule: Callable[..., Allowance], plan: TradePlan, *beside: object) -> Allowance:
    """The rule's answer; what cannot be computed, as NaN, allows nothing, and the verdict says so."""
    try:
        return rule(plan, *beside)
    except (ArithmeticError, TypeError, ValueError) as absurd:
        return Allowance(0, f"a value that cannot be computed ({type(absurd).__name__})", "finite values")


def _strict(found: Verdict) -> Verdict:
    if found.ruling == "approve":
        return found
    return found.model_copy(update={"ruling": "veto", "quantity": 0})


def _as_sent(plan: TradePlan, sending: AtSending) -> TradePlan:
    entry = entry_of(plan, sending) if plan.opens else None
    return plan if entry is None or entry.limit_price is None else plan.model_copy(update={"entry": entry.limit_price})


def _breach(control: Control, allowance: Allowance, quantity: int) -> Breach:
    allowed = f"{max(0, allowance.quantity)} of {quantity} shares"
    sentence = f"{control.id} {control.name}: {allowance.value}, bound {allowance.bound}; allows {allowed}"
    return Breach(control=control.id, value=allowance.value, bound=allowance.bound, sentence=sentence)
