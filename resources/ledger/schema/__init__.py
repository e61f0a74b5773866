"""Tables of the ledger, grouped by what they keep; this package is their whole surface."""

from resources.ledger.schema.columns import CALL_PLACES, METADATA, CallUsd, Usd
from resources.ledger.schema.memory import LESSONS, MINDS, PROPOSALS
from resources.ledger.schema.models import (
    ANSWERS,
    BATCHES,
    BREAKERS,
    MODEL_CALLS,
    POCKETS,
    RESERVATIONS,
)
from resources.ledger.schema.orders import (
    ACKNOWLEDGEMENTS,
    CLOSES,
    DECISIONS,
    DIVIDENDS,
    FILLS,
    HALTS,
    INTENTS,
    ORDERS,
    POSITIONS,
    SIGNATURES,
)
from resources.ledger.schema.state import (
    AGENT_HEALTH,
    APP_STATE,
    EVALUATIONS,
    EXPERIMENTS,
    GATES,
    HEARTBEATS,
    LEASES,
    PARAMETER_CHANGES,
)
from resources.ledger.schema.talk import CURSORS, JOURNAL, LISTENERS, MESSAGES

HEAD = "0003"

__all__ = [
    "ACKNOWLEDGEMENTS",
    "AGENT_HEALTH",
    "ANSWERS",
    "APP_STATE",
    "BATCHES",
    "BREAKERS",
    "CALL_PLACES",
    "CLOSES",
    "CURSORS",
    "DECISIONS",
    "DIVIDENDS",
    "EVALUATIONS",
    "EXPERIMENTS",
    "FILLS",
    "GATES",
    "HALTS",
    "HEAD",
    "HEARTBEATS",
    "INTENTS",
    "JOURNAL",
    "LEASES",
    "LESSONS",
    "LISTENERS",
    "MESSAGES",
    "METADATA",
    "MINDS",
    "MODEL_CALLS",
    "ORDERS",
    "PARAMETER_CHANGES",
    "POCKETS",
    "POSITIONS",
    "PROPOSALS",
    "RESERVATIONS",
    "SIGNATURES",
    "CallUsd",
    "Usd",
]
