"""Interactive Brokers over the text protocol of TWS and the Gateway, through ib_async's client; loaded when a connection opens."""

from resources.brokers.ib.broker import InteractiveBrokersBroker as InteractiveBrokersBroker
