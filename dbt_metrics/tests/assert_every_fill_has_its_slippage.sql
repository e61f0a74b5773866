select fills.session, fills.fill_id
from {{ ref('stg_fills') }} as fills
left join {{ ref('stg_slippage') }} as slippage using (session, fill_id)
where slippage.fill_id is null or slippage.quantity != fills.quantity or slippage.price_usd != fills.price_usd
