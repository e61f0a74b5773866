"""Tables of what would have been: the benchmarks beside a book, the coin's lives, and what each benchmark says of itself."""

from collections.abc import Mapping

from trading_assets.core.tables import KNOWABLE_AT, SESSION, Column, Table

BUY_AND_HOLD = "buy_and_hold"
MOMENTUM = "momentum_12_1"
COIN_FLIP = "coin_flip"
RULES_DESK = "rules_desk"
LABELS: Mapping[str, str] = {
    BUY_AND_HOLD: "buy and hold",
    MOMENTUM: "12-1 momentum",
    COIN_FLIP: "coin flip",
    RULES_DESK: "rules desk",
}
BENCHMARK_NAMES = tuple(LABELS)

BENCHMARKS = Table(
    name="benchmarks",
    doc="What a benchmark of the book would have been worth at a session's close, traded at the paper broker's costs.",
    key=("session", "name"),
    columns=(
        SESSION,
        Column("name", "text", "buy_and_hold, momentum_12_1, coin_flip or rules_desk."),
        Column("equity", "usd", "Cash plus market value at the close, USD; of the coin, the median of its lives."),
        Column("low", "usd", "5th percentile of the coin's lives, USD.", nullable=True),
        Column("high", "usd", "95th percentile of the coin's lives, USD.", nullable=True),
        Column(
            "traded_value", "usd", "Price times quantity of the session's fills, USD; the mean of the coin's lives."
        ),
        Column("fees", "usd", "Fees of the session, USD; the mean of the coin's lives."),
        Column("mean_return", "number", "Return of the session; of the coin, the mean over its lives."),
        KNOWABLE_AT,
    ),
)

COIN_LIVES = Table(
    name="coin_lives",
    doc="One life of the coin, from the book's first session to this one.",
    key=("session", "life"),
    columns=(
        SESSION,
        Column("life", "count", "From 0."),
        Column("equity", "usd", "At the close, USD."),
        Column("return_fraction", "number", "Since the book began."),
        Column("sharpe_ratio", "number", "Annual, without a risk-free rate; empty where undefined.", nullable=True),
        Column("max_drawdown_fraction", "number", "Largest fall from a peak, the starting cash included."),
        Column("traded_value", "usd", "Price times quantity of all fills, USD."),
        Column("fees", "usd", "USD."),
        Column("entries", "count", "Positions that it opened."),
        KNOWABLE_AT,
    ),
)

BENCHMARK_NOTES = Table(
    name="benchmark_notes",
    doc="What a benchmark says of itself as of a session: how it was made, or why there is no number.",
    key=("session", "name"),
    columns=(
        SESSION,
        Column("name", "text", "As in benchmarks."),
        Column("state", "text", "made, equal (it is the book itself) or missing."),
        Column("sentence", "text", "One sentence."),
        KNOWABLE_AT,
    ),
)
BENCHMARK_TABLES = (BENCHMARKS, COIN_LIVES, BENCHMARK_NOTES)
