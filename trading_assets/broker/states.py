"""What evidence makes of a state: an order's from reports and fills, an intent's from its first orders.

A fill wins over a cancel, and a cancel counts when the fills that the broker tells with it are booked. Nothing here knows the time.
"""

from collections.abc import Iterable, Mapping

from trading_assets.broker.lifecycle import WAYS, IntentState, Leg, LegState, Tracked
from trading_assets.broker.model import BrokerStatus, OrderReport

_LIVE: Mapping[BrokerStatus, LegState] = {
    "held": "held",
    "working": "working",
    "pending_cancel": "pending_cancel",
}
_ALIVE_FIRST: tuple[BrokerStatus, ...] = (
    "working",
    "pending_cancel",
    "held",
    "pending",
    "filled",
    "cancelled",
    "rejected",
)
_OVER: tuple[IntentState, ...] = ("WORKING", "PARTIAL")
"""States that may lie between where an intent is and where the evidence puts it."""


def leg_state(leg: Leg, report: OrderReport | None, *, is_sure: bool) -> LegState:
    """The state of an order, `filled` being booked already.

    Args:
        is_sure: The report is of a snapshot: what was thought to be gone without a word may turn out to live. A single event may be
            late, and never brings anything back.
    """
    if leg.filled >= leg.quantity:
        return "filled"
    if report is None or _is_over(leg, is_sure=is_sure):
        return leg.state
    if report.status in _LIVE or report.status == "pending":
        return leg.state if leg.state == "absent" and not is_sure else _LIVE.get(report.status, _unacknowledged(leg))
    if leg.filled < report.filled or (report.status == "filled" and leg.filled < report.quantity):
        return _unacknowledged(leg)
    if report.status == "rejected" and not leg.filled:
        return "rejected"
    return "filled" if report.status == "filled" else "cancelled"


def liveliest(reports: Iterable[OrderReport]) -> OrderReport:
    """Of several orders behind one of ours, the one that can do most."""
    return min(reports, key=lambda report: (_ALIVE_FIRST.index(report.status), -report.filled, report.perm_id))


def evident_state(intent: Tracked) -> IntentState | None:
    """What the first orders of an intent say about it; None where they say nothing."""
    firsts = [leg for leg in intent.legs if not leg.parent_key and leg.state != "planned"]
    if intent.filled >= intent.quantity:
        return "FILLED"
    working = [leg for leg in firsts if leg.is_open]
    if working:
        return _open_state(intent, working)
    unsent = intent.quantity - sum(leg.quantity for leg in firsts)
    if unsent > 0 and intent.filled > 0:
        return "PARTIAL"
    if not firsts or unsent > 0 or all(leg.state == "absent" for leg in firsts):
        return None
    if all(leg.state == "filled" for leg in firsts):
        return "FILLED"
    return "REJECTED" if all(leg.state == "rejected" for leg in firsts) else "CANCELLED"


def way(now: IntentState, then: IntentState | None) -> tuple[IntentState, ...]:
    """The states from one to the other, the first left out; nothing where no way leads there."""
    if then is None or then == now:
        return ()
    if then in WAYS[now]:
        return (then,)
    if then == "REJECTED" and "CANCELLED" in WAYS[now]:
        return ("CANCELLED",)
    if then == "PENDING_CANCEL":
        return next(((over, then) for over in _OVER if over in WAYS[now] and then in WAYS[over]), ())
    return ()


def given_up(intent: Tracked) -> IntentState | None:
    """What an intent becomes when no further slice of it will be sent; None while one that was sent can still fill."""
    firsts = [leg for leg in intent.legs if not leg.parent_key]
    if any(leg.is_open for leg in firsts) or intent.filled >= intent.quantity:
        return None
    return "CANCELLED" if "CANCELLED" in WAYS[intent.state] else None


def _is_over(leg: Leg, *, is_sure: bool) -> bool:
    """Whether no report changes it any more; a correction may have taken back a part of what had filled it."""
    return leg.state in {"cancelled", "rejected"} or (leg.state == "filled" and not is_sure)


def _unacknowledged(leg: Leg) -> LegState:
    return "sent" if leg.state in {"planned", "absent"} else leg.state


def _open_state(intent: Tracked, working: list[Leg]) -> IntentState | None:
    if all(leg.state == "pending_cancel" for leg in working):
        return "PENDING_CANCEL"
    if intent.filled > 0:
        return "PARTIAL"
    return "WORKING" if any(leg.state in {"held", "working", "pending_cancel"} for leg in working) else None
