with summed as (
    select dimension, name, sum(pnl_usd) as pnl_usd, sum(trades) as trades
    from {{ ref('attribution_daily') }}
    group by dimension, name
)

select dimension, name, summed.pnl_usd, attribution.pnl_usd as pnl_usd_expected
from summed
full join {{ ref('attribution') }} as attribution using (dimension, name)
where
    summed.pnl_usd is distinct from attribution.pnl_usd
    or summed.trades is distinct from attribution.trades
