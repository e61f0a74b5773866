with trades as (
    select
        session,
        trade_id,
        symbol,
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
    *,
    pnl_usd > 0 as is_win,
    pnl_usd < 0 as is_loss,
    case when planned_risk_usd > 0 then {{ ratio('pnl_usd', 'planned_risk_usd') }} end as r_multiple
from trades
