with labelled as (
    select
        session,
        max(book_evidence) as evidence,
        count(*) filter (where is_decided) as decided_slots,
        sum(model_calls) as model_calls,
        sum(model_cost_usd) as model_cost_usd
    from {{ ref('stg_decisions') }}
    group by session
),

before as (
    select
        account.*,
        book.starting_cash_usd,
        lag(equity_usd, 1, starting_cash_usd) over (order by session) as equity_usd_before
    from {{ ref('stg_account') }} as account
    cross join {{ ref('stg_book') }} as book
)

select
    before.*,
    equity_usd - equity_usd_before as pnl_usd,
    {{ ratio('equity_usd - equity_usd_before', 'equity_usd_before') }} as return_fraction,
    -- A session that nobody labelled is unknown, never clean.
    coalesce(labelled.evidence, 'unknown') as evidence,
    coalesce(labelled.decided_slots, 0) as decided_slots,
    coalesce(labelled.model_calls, 0) as model_calls,
    coalesce(labelled.model_cost_usd, 0) as model_cost_usd
from before
left join labelled using (session)
