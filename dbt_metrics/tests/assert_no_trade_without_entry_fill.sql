select trade_id, session_opened
from {{ ref('trade_metrics') }} as trades
where not exists (
    select 1
    from {{ ref('stg_fills') }} as fills
    where
        fills.intent_id = trades.trade_id
        and fills.session = trades.session_opened
        and fills.role = 'entry'
)
