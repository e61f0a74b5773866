select
    session,
    slot,
    state,
    state not in ('IDLE', 'AFTER_CLOSE') as is_decided,
    evidence,
    book_evidence,
    models,
    plans,
    vetoes,
    calls as model_calls,
    model_cost as model_cost_usd
from {{ source('raw', 'decision_evidence') }}
