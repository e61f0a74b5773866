select
    strategy,
    {{ trade_statistics() }}
from {{ ref('stg_trades') }}
group by strategy
