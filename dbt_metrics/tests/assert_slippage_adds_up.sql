select session, order_id, fill_id, delay_usd, execution_usd, shortfall_usd
from {{ ref('stg_slippage') }}
where
    (delay_usd is null) != (execution_usd is null)
    or (delay_usd is not null and delay_usd + execution_usd is distinct from shortfall_usd)
