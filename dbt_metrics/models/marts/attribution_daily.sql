with by_session as (
    select
        session,
        dimension,
        name,
        count(*) as trades,
        sum(pnl_usd) as pnl_usd
    from {{ ref('stg_attribution') }}
    group by session, dimension, name
)

select
    session,
    dimension,
    name,
    trades,
    cast(pnl_usd as decimal(18, 4)) as pnl_usd,
    cast(
        sum(pnl_usd) over (
            partition by dimension, name order by session rows between unbounded preceding and current row
        ) as decimal(18, 4)
    ) as pnl_usd_to_date
from by_session
