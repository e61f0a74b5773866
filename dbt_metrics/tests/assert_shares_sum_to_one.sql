select trade_id, dimension, sum(share_fraction) as shares
from {{ ref('stg_attribution') }}
group by trade_id, dimension
having not abs(sum(share_fraction) - 1) <= 1.0e-4
