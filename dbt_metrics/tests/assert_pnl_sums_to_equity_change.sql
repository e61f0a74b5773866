select session, equity_usd, pnl_usd_to_date
from (
    select
        *,
        sum(pnl_usd) over (order by session rows between unbounded preceding and current row) as pnl_usd_summed
    from {{ ref('daily_metrics') }}
)
cross join {{ ref('stg_book') }}
where
    pnl_usd_summed != pnl_usd_to_date
    or pnl_usd_to_date != equity_usd - starting_cash_usd
