with held as (
    select session, sum(market_value_usd) as market_value_usd, count(*) as positions
    from {{ ref('stg_positions') }}
    group by session
)

select session, daily.market_value_usd, held.market_value_usd as market_value_usd_held
from {{ ref('daily_metrics') }} as daily
full join held using (session)
where
    coalesce(held.market_value_usd, 0) is distinct from daily.market_value_usd
    or coalesce(held.positions, 0) is distinct from daily.positions
