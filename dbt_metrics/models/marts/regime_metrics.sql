select
    regime,
    {{ trade_statistics() }}
from {{ ref('stg_trades') }}
group by regime
