select trades.trade_id, count(shares.dimension) as dimensions
from {{ ref('trade_metrics') }} as trades
left join (select distinct trade_id, dimension from {{ ref('stg_attribution') }}) as shares using (trade_id)
group by trades.trade_id
having count(shares.dimension) != 8
