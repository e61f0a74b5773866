"""An execution as reconciliation books it, without the order that it came from."""

from datetime import datetime

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.engine import transaction
from resources.ledger.text import instant_text
from tests.resources.notify.parts import BOOK
from trading_assets.core.calendar import NEW_YORK


def booked_execution(engine: sa.Engine, exec_id: str, *, at: datetime) -> None:
    """One row of `executions`."""
    words = {"ref": "", "leg_key": "", "intent_id": "", "account": "DU1234567", "symbol": "AAA", "side": "sell"}
    numbers = {"perm_id": 1, "order_id": 0, "client_id": 0, "con_id": 1, "quantity": "7", "price": "101.25"}
    times = {"session": at.astimezone(NEW_YORK).date(), "executed_at": instant_text(at), "at": instant_text(at)}
    rest = {"book": BOOK, "exec_id": exec_id, "liquidation": False, "replaces": "", "busts": ""}
    with transaction(engine) as connection:
        connection.execute(t.EXECUTIONS.insert(), {**words, **numbers, **times, **rest})
