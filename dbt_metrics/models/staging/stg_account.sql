select
    session,
    cash as cash_usd,
    market_value as market_value_usd,
    equity as equity_usd,
    fees as fees_usd,
    dividends as dividends_usd,
    traded_value as traded_value_usd,
    positions,
    decisions,
    plans,
    vetoes
from {{ source('raw', 'account') }}
