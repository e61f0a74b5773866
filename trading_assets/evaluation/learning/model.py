"""Tables of what the desk learns about its own numbers."""

from trading_assets.core.tables import KNOWABLE_AT, SESSION, Column, Table

STRATEGY_STANDINGS = Table(
    name="strategy_standings",
    doc="How a strategy stands in a regime before the strategy monitor, after a session.",
    key=("session", "strategy", "regime"),
    columns=(
        SESSION,
        Column("strategy", "text", "The strategy."),
        Column("regime", "text", "The symbol's regime when the trades were opened."),
        Column(
            "word",
            "text",
            "on, off, switch off, switch on, or off by the operator; a switch counts from the next session.",
        ),
        Column("trades", "count", "Trades in the window."),
        Column("withheld", "count", "Those of them that were withheld and replayed."),
        Column("since_switch", "count", "Trades opened since the last switch; all where there was none."),
        Column("win_rate", "number", "Share of the window's trades that earned more than nothing.", nullable=True),
        Column("net_pnl", "usd", "P&L of the window's trades after fees, USD."),
        Column("reason", "text", "One sentence."),
        KNOWABLE_AT,
    ),
)

PARAMETER_STUDY = Table(
    name="parameter_study",
    doc="One set of values that the monthly study tried on the closed trades of the months before.",
    key=("session", "trial"),
    columns=(
        SESSION,
        Column("trial", "text", "The values, as name=value, joined by a comma."),
        Column("parameters", "text", "The parameters that were moved, joined by a comma."),
        Column("tried", "count", "Trials of the study that enough trades spoke about."),
        Column("trades", "count", "Trades that the values would have changed."),
        Column("gain", "number", "Mean gain of those trades, USD.", nullable=True),
        Column("low", "number", "Lower end of its interval at the level that all trials keep, USD.", nullable=True),
        Column("high", "number", "Upper end of the interval, USD.", nullable=True),
        Column("level", "number", "Level of the interval.", nullable=True),
        Column("supported", "flag", "The whole interval lies above zero."),
        KNOWABLE_AT,
    ),
)

PARAMETER_PROPOSALS = Table(
    name="parameter_proposals",
    doc="A move of a parameter that the closed trades support: put to the operator, with the evidence. Rows are in the ledger.",
    key=("session", "id"),
    columns=(
        SESSION,
        Column("id", "text", "What desk approve is given."),
        Column("name", "text", "The parameter."),
        Column("before", "text", "Its value now, as JSON."),
        Column("after", "text", "The value that is proposed, as JSON."),
        Column("origin", "text", "record, optimizer, adaptor, study or monitor."),
        Column("reason", "text", "One sentence."),
        Column("evidence", "text", "The counts and the interval behind it, as JSON."),
        Column("observations", "count", "Trades that spoke about it."),
        Column("lapses", "day", "The session after which it can no longer be answered."),
        KNOWABLE_AT,
    ),
)
