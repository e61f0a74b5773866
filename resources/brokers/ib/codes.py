"""What Interactive Brokers' error and notice codes mean, and the one reaction to each.

A code ends no order that the broker has acknowledged: the client library takes any code that it does not know for a cancel, while
the order goes on living. What is not listed here makes the gateway look again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from trading_assets.broker.model import Reaction

CLIENT_ID_IN_USE: Final = 326
DELAYED_IS_SERVED: Final = 10167


@dataclass(frozen=True, slots=True)
class Code:
    """One code of the broker.

    Args:
        meaning: What the broker says with it, in a few words.
        reaction: What the gateway does.
    """

    code: int
    meaning: str
    reaction: Reaction


_ALL: Final = (
    Code(100, "more messages in a second than Interactive Brokers accepts", "pacing"),
    Code(101, "too many quotes are watched", "no_live_data"),
    Code(103, "the order id was used before", "look_again"),
    Code(104, "a filled order cannot be modified", "look_again"),
    Code(105, "the modified order does not match the original", "look_again"),
    Code(110, "the price is no multiple of the tick", "order_rejected"),
    Code(135, "the order to cancel is not known", "look_again"),
    Code(136, "the order cannot be cancelled", "look_again"),
    Code(161, "the order is in no state that can be cancelled", "look_again"),
    Code(162, "historical data: pacing, permission, or no data", "pacing"),
    Code(165, "a message about historical data", "ignore"),
    Code(200, "no security definition, or more than one", "no_contract"),
    Code(201, "the order is rejected", "order_rejected"),
    Code(202, "the order is cancelled", "order_cancelled"),
    Code(203, "the security is not available to the account", "order_rejected"),
    Code(300, "the request to end is not known", "ignore"),
    Code(317, "market depth is reset", "ignore"),
    Code(321, "the request is not valid, or the API is read-only", "look_again"),
    Code(CLIENT_ID_IN_USE, "the client id is in use", "refuse_to_start"),
    Code(329, "the order cannot become of another type; the original lives", "order_lives"),
    Code(354, "market data is not subscribed", "no_live_data"),
    Code(366, "the historical query to end is not known", "ignore"),
    Code(399, "a warning about an order that lives", "order_lives"),
    Code(404, "shares are being located for a short sale", "order_lives"),
    Code(420, "no permission for real-time bars", "no_live_data"),
    Code(434, "the order size is zero", "order_rejected"),
    Code(460, "no trading permission", "order_rejected"),
    Code(502, "TWS cannot be reached", "link_lost"),
    Code(503, "TWS is too old", "refuse_to_start"),
    Code(504, "not connected", "link_lost"),
    Code(505, "the message id is not known", "protocol"),
    Code(507, "the length of a message is wrong", "protocol"),
    Code(1100, "the link between Interactive Brokers and TWS is lost", "link_lost"),
    Code(1101, "the link is back, market data is lost", "link_back_data_lost"),
    Code(1102, "the link is back, market data is kept", "link_back"),
    Code(1300, "TWS changes its port and drops the connection", "link_lost"),
    Code(2103, "a market data farm is down", "data_lost"),
    Code(2104, "a market data farm is up", "data_back"),
    Code(2105, "a historical data farm is down", "data_lost"),
    Code(2106, "a historical data farm is up", "data_back"),
    Code(2107, "a historical data farm sleeps until it is asked", "ignore"),
    Code(2108, "a market data farm sleeps until it is asked", "ignore"),
    Code(2109, "a warning about the hours of an order that lives", "order_lives"),
    Code(2110, "the link between TWS and its server is broken", "link_lost"),
    Code(2119, "a market data farm is connecting", "ignore"),
    Code(2157, "the security definition farm is down", "data_lost"),
    Code(2158, "the security definition farm is up", "data_back"),
    Code(10089, "market data needs a subscription; delayed data is available", "no_live_data"),
    Code(10090, "a part of the market data is not subscribed", "no_live_data"),
    Code(10147, "the order to cancel is not found", "look_again"),
    Code(10148, "the order to cancel has ended, or is being cancelled", "look_again"),
    Code(DELAYED_IS_SERVED, "delayed data is served", "no_live_data"),
    Code(10168, "delayed data is not enabled", "no_live_data"),
    Code(10186, "market data is not subscribed, and delayed data not enabled", "no_live_data"),
    Code(10197, "another live login takes the data away", "competing_login"),
    Code(10225, "a trade was busted: the stream must be asked for again", "look_again"),
    Code(10289, "the order is rejected: the account lacks a permission", "order_rejected"),
    Code(10318, "a modify is refused; the order lives", "order_lives"),
    Code(10349, "the time in force comes from a preset; the order lives", "order_lives"),
)
CODES: Final[Mapping[int, Code]] = MappingProxyType({code.code: code for code in _ALL})


def reaction_to(code: int) -> Reaction:
    """The reaction to a code; one that is not listed is a reason to look again, and nothing more."""
    known = CODES.get(code)
    return known.reaction if known is not None else "look_again"
