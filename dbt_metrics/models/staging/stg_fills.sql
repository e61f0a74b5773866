select
    session,
    fill_id,
    order_id,
    intent_id,
    symbol,
    side,
    role,
    quantity,
    price as price_usd,
    fee as fee_usd,
    cast(quantity * price as decimal(18, 4)) as value_usd
from {{ source('raw', 'fills') }}
