select
    session,
    trade_id,
    symbol,
    dimension,
    name,
    share as share_fraction,
    pnl as pnl_usd
from {{ source('raw', 'attribution_shares') }}
