"""The table of the watch-list."""

from typing import Literal, get_args

from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

Method = Literal["bootstrap", "gbm"]
METHODS: tuple[Method, ...] = get_args(Method)
OUTCOMES = ("p_target", "p_stop", "p_neither")
MEASURES = (*OUTCOMES, "p_target_se", "p_stop_se", "expected_return", "expected_return_se")

_DOCS = {
    "p_target": "Share of paths that reach the target before the stop, 0 to 1.",
    "p_stop": "Share of paths that reach the stop first, 0 to 1.",
    "p_neither": "Share of paths that reach neither within the horizon, 0 to 1.",
    "p_target_se": "Standard error of p_target.",
    "p_stop_se": "Standard error of p_stop.",
    "expected_return": "Mean return from the reference to the exit, before costs, as a fraction.",
    "expected_return_se": "Standard error of the mean return.",
}


def _simulated(method: Method) -> tuple[Column, ...]:
    return tuple(
        Column(f"{name}_{method}", "number", f"{_DOCS[name]} Method {method}; empty without a simulation.", True)
        for name in MEASURES
    )


WATCHLIST = Table(
    name="watchlist",
    doc="One symbol at a session's close: passed or refused by the screen, and the odds of target before stop.",
    key=("session", "symbol"),
    columns=(
        SYMBOL,
        SESSION,
        Column("rank", "count", "Place by score among those that passed the screen; 1 is best.", nullable=True),
        Column("score", "number", "Weighted mean of ranks within the session, 0 to 1.", nullable=True),
        Column(
            "strategy_view", "text", "The regime's view of the session; empty before the first label.", nullable=True
        ),
        Column("reference", "number", "Close of the session, USD, as traded: the entry that the odds are for."),
        Column("stop", "number", "Reference less a multiple of atr_14, USD, not rounded.", nullable=True),
        Column("target", "number", "Reference plus the reward for that risk, USD, not rounded.", nullable=True),
        *_simulated("bootstrap"),
        *_simulated("gbm"),
        Column("selected", "flag", "Passed the screen and the filter under both methods."),
        Column("reason", "text", "Why it was selected, or the first bound that it broke with value and bound."),
        Column("seed", "count", "Seed of the paths."),
        Column("paths", "count", "Paths per method."),
        Column("horizon_sessions", "count", "Length of a path, sessions."),
        KNOWABLE_AT,
    ),
)
