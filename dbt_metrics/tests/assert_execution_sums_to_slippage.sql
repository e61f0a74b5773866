select groups.fills, every.fills as fills_expected
from (
    select
        coalesce(sum(fills), 0) as fills,
        coalesce(sum(orders_unfilled), 0) as orders_unfilled,
        coalesce(sum(slippage_usd), 0) as slippage_usd
    from {{ ref('execution_quality') }}
) as groups
cross join (
    select
        count(*) filter (where is_filled) as fills,
        count(*) filter (where not is_filled) as orders_unfilled,
        coalesce(sum(shortfall_usd) filter (where is_filled), 0) as slippage_usd
    from {{ ref('stg_slippage') }}
) as every
where
    groups.fills != every.fills
    or groups.orders_unfilled != every.orders_unfilled
    or groups.slippage_usd != every.slippage_usd
