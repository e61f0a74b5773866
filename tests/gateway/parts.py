"""What gateways under test are made of, in this process and in those that are killed."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from gateway.means import Setup, Severity
from resources.ledger import schema as t
from resources.ledger.dispatch import propose
from resources.ledger.engine import reading, transaction
from resources.ledger.journal import append_entries
from resources.ledger.store import SqlLedger
from tests.gateway.exchange import ACCOUNT
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.messages import Draft
from trading_assets.core.preferences import Preferences
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.ports import Decision, Intent
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import SIGNERS, Seal, Signer, Verdict
from trading_assets.signatures.signing import seal

BOOK = "desk"
DAY = date(2024, 3, 25)
OPEN = datetime(2024, 3, 25, 9, 30, 5, tzinfo=NEW_YORK)
LIMITS = "ab" * 32
KEYS: Mapping[Signer, bytes] = {signer: bytes([number]) * 32 for number, signer in enumerate(SIGNERS, 1)}
SYMBOLS = ("AAPL", "MSFT")


@dataclass
class Told:
    """What the operator and the bus were told."""

    pages: list[tuple[str, str, str]] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)

    def page(self, severity: Severity, code: str, sentence: str, *, as_of: datetime) -> None:  # noqa: ARG002
        self.pages.append((severity, code, sentence))

    def publish(self, drafts: Sequence[Draft]) -> None:
        self.drafts += drafts

    @property
    def codes(self) -> list[str]:
        return [code for _, code, _ in self.pages]


@dataclass
class Prices:
    """A second source that agrees with a table."""

    prices: dict[str, Decimal] = field(default_factory=lambda: {"AAPL": Decimal(100), "MSFT": Decimal(200)})

    async def price(self, symbol: str, _: datetime) -> Decimal | None:
        return self.prices.get(symbol)


class Volumes:
    def __init__(self, symbols: Sequence[str] = SYMBOLS) -> None:
        self._symbols = symbols

    def average_volume(self, _: date) -> Mapping[str, float]:
        return dict.fromkeys(self._symbols, 5_000_000.0)

    def related(self, _: date) -> Mapping[str, AbstractSet[str]]:
        return {}


def setup_of(
    settings: ExecutionSettings,
    preferences: Preferences | None = None,
    *,
    symbols: Sequence[str] = SYMBOLS,
    gate: Callable[[tuple[str, ...], datetime], tuple[str, ...]] = lambda *_: (),
) -> Setup:
    """What stays fixed; each symbol is a sector of its own."""
    return Setup(
        book=BOOK,
        version="1",
        settings=settings,
        preferences=preferences or Preferences(),
        limits_hash=LIMITS,
        account=settings.ib.account or ACCOUNT,
        symbols=tuple(symbols),
        sectors={symbol: symbol for symbol in symbols},
        keys=KEYS,
        cost_per_decision_usd=Decimal("0.05"),
        cost_per_day_usd=Decimal(5),
        gate=gate,
    )


def released_in(engine: sa.Engine) -> bool:
    """Whether an operator ever answered a halt."""
    with reading(engine) as connection:
        return connection.execute(sa.select(t.ACKNOWLEDGEMENTS)).first() is not None


def entries_in(engine: sa.Engine, symbols: Sequence[str]) -> Mapping[str, Intent]:
    """The newest entry of each symbol."""
    with SqlLedger(engine, BOOK).reading() as ledger:
        return ledger.entries_of(symbols)


def state_in(engine: sa.Engine, intent_id: str) -> str:
    """Where an intent stands."""
    query = sa.select(t.INTENT_STATES.c.state).where(t.INTENT_STATES.c.intent_id == intent_id)
    with reading(engine) as connection:
        return str(connection.execute(query).scalar())


def propose_in(engine: sa.Engine, plan: TradePlan, now: datetime) -> Intent:
    """A decision with one plan, approved and on its way."""
    verdict = Verdict(
        signer="risk_gate",
        plan_id=plan.id,
        plan_digest=plan.digest,
        ruling="approve",
        quantity=plan.quantity,
        breaches=(),
    )
    intent = intent_for(plan, verdict, book=BOOK, limits_hash=LIMITS)
    decision = Decision(plan.session, plan.slot, now, "ACTIVE", "a test", 1, 0, LIMITS)
    with SqlLedger(engine, BOOK).session() as ledger:
        ledger.add_decision(decision, [(plan, verdict)], [intent], orders_of(intent))
    with transaction(engine) as connection:
        entries, _ = propose(connection, BOOK, [intent], as_of=now)
        append_entries(connection, entries)
    return intent


def seals_of(intent: Intent, signers: Sequence[Signer], now: datetime) -> list[Seal]:
    """Good for a minute."""
    return [
        seal(
            intent.id,
            intent.plan.digest,
            intent.quantity,
            LIMITS,
            signer=signer,
            key=KEYS[signer],
            signed_at=now,
            valid=timedelta(seconds=60),
        )
        for signer in signers
    ]


def plan_of(**changed: Any) -> TradePlan:
    """Forty shares of AAPL at no more than 100.50, with a stop and a target that the limits allow."""
    symbol = changed.get("symbol", "AAPL")
    price = Decimal(200) if symbol == "MSFT" else Decimal(100)
    fields = {
        "session": DAY,
        "slot": "09:30",
        "as_of": OPEN,
        "action": "enter",
        "strategy": "momentum_breakout",
        "symbol": symbol,
        "regime": "bull",
        "quantity": 20 if symbol == "MSFT" else 40,
        "reference": price,
        "entry": price * Decimal("1.004"),
        "stop": price * Decimal("0.98"),
        "target": price * Decimal("1.05"),
        "thesis_id": "a thesis",
        "confidence": 0.7,
        "reasons": ("it rises",),
        **changed,
    }
    return TradePlan.model_validate(fields)


def exit_of(**changed: Any) -> TradePlan:
    return plan_of(action="exit", slot="10:00", stop=None, target=None, entry=Decimal(100), **changed)
