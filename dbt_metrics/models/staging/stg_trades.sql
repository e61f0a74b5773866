with origins as (
    select
        trade_id,
        max(name) filter (where dimension = 'evidence') as evidence,
        max(name) filter (where dimension = 'time_of_day') as time_of_day,
        max(name) filter (where dimension = 'thesis') as thesis,
        max(name) filter (where dimension = 'author') as thesis_author
    from {{ ref('stg_attribution') }}
    group by trade_id
),

trades as (
    select
        session,
        trade_id,
        symbol,
        side,
        strategy,
        regime,
        opened as session_opened,
        quantity,
        entry_price as entry_price_usd,
        exit_price as exit_price_usd,
        stop_price as stop_price_usd,
        fees as fees_usd,
        dividends as dividends_usd,
        pnl as pnl_usd,
        return_fraction,
        sessions_held,
        exit_reason,
        cast(quantity * entry_price as decimal(18, 4)) as entry_value_usd,
        cast(quantity * abs(entry_price - stop_price) as decimal(18, 4)) as planned_risk_usd
    from {{ source('raw', 'trades') }}
)

select
    trades.*,
    -- A trade that nobody attributed is unknown and unexplained, never clean.
    coalesce(origins.evidence, 'unknown') as evidence,
    coalesce(origins.time_of_day, 'unexplained') as time_of_day,
    coalesce(origins.thesis, 'unexplained') as thesis,
    coalesce(origins.thesis_author, 'unexplained') as thesis_author,
    pnl_usd > 0 as is_win,
    pnl_usd < 0 as is_loss,
    case when planned_risk_usd > 0 then {{ ratio('pnl_usd', 'planned_risk_usd') }} end as r_multiple
from trades
left join origins using (trade_id)
