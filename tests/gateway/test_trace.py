"""What gateway and watchdog did by themselves is traced to the plan that opened the position."""

from decimal import Decimal

import pytest

from resources.ledger import schema as t
from resources.ledger.engine import reading, transaction
from resources.ledger.state import Leases
from resources.ledger.tracing import LAST, trace
from tests.gateway.parts import BOOK, DAY
from tests.gateway.world import World
from trading_assets.broker.model import Contract
from trading_assets.execution.dispatch import Reduction


@pytest.mark.parametrize("by", ["the newest", "its id"])
def test_behind_an_act_of_the_gateways_own_stands_the_plan_that_opened_the_position(world: World, by: str) -> None:
    intent = world.propose()
    lease = Leases(world.engine).acquire(f"gateway:{BOOK}", "test", as_of=world.hand.at, ttl=world.settings.lease)
    assert lease is not None
    wanted = Reduction("flatten/AAPL", "AAPL", "flatten", 40, "a test")
    made = world.store.reduce(wanted, Contract("AAPL", 1), token=lease.token, as_of=world.hand.at)
    assert made is not None
    fill = {"id": "x.1", "book": BOOK, "order_id": f"{made}-flatten", "intent_id": made, "session": DAY, "role": "exit"}
    told = {
        "symbol": "AAPL",
        "side": "sell",
        "quantity": 40,
        "price": Decimal(100),
        "fee": Decimal(1),
        "at": "2024",
        "reason": "broker",
    }
    with transaction(world.engine) as connection:
        connection.execute(t.FILLS.insert(), {**fill, **told})
    with reading(world.engine) as connection:
        traced = trace(connection, BOOK, LAST if by == "the newest" else made)
    assert traced is not None
    assert traced.intent_id == intent.id
