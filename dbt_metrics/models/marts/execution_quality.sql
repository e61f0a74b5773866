with known as (
    select *, is_filled and shortfall_usd is not null as is_measured, is_filled and execution_usd is not null as is_parted
    from {{ ref('stg_slippage') }}
)

select
    strategy,
    time_of_day,
    role,
    order_type,
    count(*) filter (where is_filled) as fills,
    count(*) filter (where is_filled and shortfall_usd is null) as fills_unmeasured,
    cast(coalesce(sum(decided_value_usd) filter (where is_measured), 0) as decimal(18, 4)) as decided_value_usd,
    cast(coalesce(sum(shortfall_usd) filter (where is_measured), 0) as decimal(18, 4)) as slippage_usd,
    {{ basis_points(
        'sum(shortfall_usd) filter (where is_measured)', 'sum(decided_value_usd) filter (where is_measured)'
    ) }} as slippage_bp,
    max(shortfall_bp) filter (where is_measured) as slippage_bp_worst,
    {{ basis_points(
        'sum(delay_usd) filter (where is_parted)', 'sum(decided_value_usd) filter (where is_parted)'
    ) }} as delay_bp,
    {{ basis_points(
        'sum(execution_usd) filter (where is_parted)', 'sum(decided_value_usd) filter (where is_parted)'
    ) }} as execution_bp,
    cast(sum(fee_usd) as decimal(18, 4)) as fees_usd,
    count(*) filter (where not is_filled) as orders_unfilled,
    cast(coalesce(sum(shortfall_usd) filter (where not is_filled), 0) as decimal(18, 4)) as unfilled_usd,
    cast(
        coalesce(sum(shortfall_usd), 0) + sum(fee_usd) as decimal(18, 4)
    ) as implementation_shortfall_usd
from known
group by strategy, time_of_day, role, order_type
