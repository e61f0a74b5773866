select kinds.trades, closed.trades as trades_expected, kinds.sessions, lived.sessions as sessions_expected
from (
    select sum(trades) as trades, sum(sessions) as sessions, sum(session_pnl_usd) as session_pnl_usd
    from {{ ref('evidence_metrics') }}
) as kinds
cross join (select count(*) as trades from {{ ref('trade_metrics') }}) as closed
cross join (
    select count(*) as sessions, coalesce(sum(pnl_usd), 0) as session_pnl_usd
    from {{ ref('daily_metrics') }}
) as lived
where
    kinds.trades is distinct from closed.trades
    or kinds.sessions is distinct from lived.sessions
    or kinds.session_pnl_usd is distinct from lived.session_pnl_usd
