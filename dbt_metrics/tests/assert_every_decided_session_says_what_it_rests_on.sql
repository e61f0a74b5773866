select account.session
from {{ ref('stg_account') }} as account
left join (select distinct session from {{ ref('stg_decisions') }}) as labelled using (session)
where account.decisions > 0 and labelled.session is null
