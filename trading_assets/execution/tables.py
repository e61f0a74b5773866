"""The tables that a lane writes: what a slot decides, and what a session's settlement leaves."""

from trading_assets.core.tables import Table
from trading_assets.execution.model import ACCOUNT, FILLS, ORDERS, POSITIONS, TRADES
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.signatures.model import VERDICTS
from trading_assets.theses.memory.model import LESSONS
from trading_assets.theses.model import THESES, THESIS_EDGES, THESIS_EVENTS, THESIS_SCORES

THOUGHT: tuple[Table, ...] = (THESES, THESIS_EVENTS, THESIS_EDGES, THESIS_SCORES)
DECIDED: tuple[Table, ...] = (*THOUGHT, VOTES, TRADE_PLANS, VERDICTS, ORDERS)
BOOKED: tuple[Table, ...] = (FILLS, POSITIONS, ACCOUNT, TRADES, LESSONS)
