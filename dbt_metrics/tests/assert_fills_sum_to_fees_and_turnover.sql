with filled as (
    select session, sum(fee_usd) as fees_usd, sum(value_usd) as traded_value_usd
    from {{ ref('stg_fills') }}
    group by session
)

select session, account.fees_usd, filled.fees_usd as fees_usd_filled
from {{ ref('stg_account') }} as account
full join filled using (session)
where
    coalesce(filled.fees_usd, 0) is distinct from account.fees_usd
    or coalesce(filled.traded_value_usd, 0) is distinct from account.traded_value_usd
