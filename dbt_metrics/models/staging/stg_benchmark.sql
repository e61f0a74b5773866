select
    session,
    equity as equity_usd
from {{ source('raw', 'benchmark') }}
