"""The broker that `config/execution.yaml` names, under a client id of one's own: the same for the gateway and the watchdog."""

from decimal import Decimal

from trading_assets.broker.ports import Broker
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.ports import Clock
from trading_assets.core.settings import Home, Settings

PAPER_ACCOUNT = "paper-account.sqlite"


def open_broker(
    execution: ExecutionSettings, settings: Settings, home: Home, clock: Clock, *, client_id: int
) -> Broker:
    """The configured broker; nothing is connected yet. What a member needs is loaded when it is the one."""
    if execution.broker == "ib":
        from resources.brokers.ib import InteractiveBrokersBroker

        return InteractiveBrokersBroker(execution.ib, client_id=client_id, clock=clock, mode=execution.mode)
    from resources.brokers.feeds.chosen import feed_of
    from resources.brokers.paper import PaperBroker
    from resources.lake import ParquetLake
    from trading_assets.execution.model import Costs

    paper = settings.paper
    feed = feed_of(
        execution.feed,
        clock=clock,
        lake=ParquetLake(home.lake),
        simulated_seed=settings.market.simulated_seed,
        cache=home.root / "cache",
        volume_share=paper.volume_share_max,
    )
    return PaperBroker(
        home.root / PAPER_ACCOUNT,
        client_id=client_id,
        costs=Costs.of(paper),
        feed=feed,
        clock=clock,
        starting_cash=Decimal(str(paper.starting_cash_usd)),
    )
