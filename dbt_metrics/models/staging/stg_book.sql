select
    lane,
    starting_cash as starting_cash_usd
from {{ source('raw', 'book') }}
