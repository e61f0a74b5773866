select shares.trade_id, shares.dimension, shares.pnl_usd, trades.pnl_usd as pnl_usd_expected
from (
    select trade_id, dimension, sum(pnl_usd) as pnl_usd
    from {{ ref('stg_attribution') }}
    group by trade_id, dimension
) as shares
left join {{ ref('trade_metrics') }} as trades using (trade_id)
where shares.pnl_usd is distinct from trades.pnl_usd
