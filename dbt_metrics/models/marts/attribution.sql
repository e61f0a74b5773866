with numbered as (
    select
        *,
        row_number() over (partition by dimension, name order by session desc, trade_id desc) as recency
    from {{ ref('stg_attribution') }}
)

select
    dimension,
    name,
    count(*) as trades,
    cast(sum(share_fraction) as double) as share_sum,
    cast(sum(pnl_usd) as decimal(18, 4)) as pnl_usd,
    count(*) filter (where pnl_usd > 0) as wins,
    count(*) filter (where pnl_usd < 0) as losses,
    {{ ratio('count(*) filter (where pnl_usd > 0)', 'count(*)') }} as win_rate_fraction,
    cast(avg(pnl_usd) as double) as expectancy_usd,
    count(*) filter (where recency <= {{ var('recent_trades') }}) as trades_recent,
    cast(sum(pnl_usd) filter (where recency <= {{ var('recent_trades') }}) as decimal(18, 4)) as pnl_usd_recent,
    {{ ratio(
        'count(*) filter (where pnl_usd > 0 and recency <= ' ~ var('recent_trades') ~ ')',
        'count(*) filter (where recency <= ' ~ var('recent_trades') ~ ')'
    ) }} as win_rate_fraction_recent,
    cast(avg(pnl_usd) filter (where recency <= {{ var('recent_trades') }}) as double) as expectancy_usd_recent,
    min(session) as session_first,
    max(session) as session_last
from numbered
group by dimension, name
