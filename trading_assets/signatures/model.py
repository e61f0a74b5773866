"""What a signer says of a plan."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

Ruling = Literal["approve", "shrink", "veto"]


class Breach(BaseModel):
    """One control that a plan touches: which value met which bound."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    control: str
    value: str
    bound: str
    sentence: str


class Verdict(BaseModel):
    """A signer's ruling on exactly one plan. `quantity` is what may be traded; 0 after a veto."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signer: str
    plan_id: str
    plan_digest: str
    ruling: Ruling
    quantity: Annotated[int, Field(ge=0)]
    breaches: tuple[Breach, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Every breach in words."""
        return tuple(breach.sentence for breach in self.breaches)


VERDICTS = Table(
    name="verdicts",
    doc="A signer's ruling on one plan, with every control that it breached.",
    key=("session", "plan_id", "signer"),
    columns=(
        SESSION,
        Column("slot", "text", "Decision time, New York HH:MM; HH:MM:SS for a look that an event caused."),
        Column("plan_id", "text", "The plan."),
        Column("plan_digest", "text", "sha256 of the plan that was judged."),
        Column("signer", "text", "risk_gate, fact_checker or double_checker."),
        Column("strategy", "text", "Strategy of the plan."),
        SYMBOL,
        Column("ruling", "text", "approve, shrink or veto."),
        Column("quantity", "count", "Shares that may be traded; 0 after a veto."),
        Column("controls", "text", "Comma-separated ids of the controls breached; empty when none."),
        Column("reasons", "text", "JSON list of sentences."),
        KNOWABLE_AT,
    ),
)


Signer = Literal["risk_gate", "fact_checker", "double_checker"]
SIGNERS: tuple[Signer, ...] = ("risk_gate", "fact_checker", "double_checker")


class Seal(BaseModel):
    """A signer's HMAC over one intent. It says: this plan, this quantity, under these limits, until then; and nothing else.

    `mac` is the hex HMAC-SHA256, by the signer's own key, over the canonical JSON of all other fields.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    signer: Signer
    intent_id: str
    plan_digest: str
    quantity: Annotated[int, Field(ge=1)]
    limits_hash: str
    signed_at: datetime
    expires_at: datetime
    mac: str
