select
    session,
    symbol,
    quantity,
    cost as cost_usd,
    close as close_usd,
    market_value as market_value_usd,
    unrealised_pnl as unrealised_pnl_usd
from {{ source('raw', 'positions') }}
