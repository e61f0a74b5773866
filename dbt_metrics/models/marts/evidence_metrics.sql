with kinds as (
    select unnest(['rules', 'clean', 'unknown', 'contaminated']) as evidence
),

decided as (
    select
        evidence,
        count(*) filter (where is_decided) as decisions,
        cast(sum(model_cost_usd) as double) as model_cost_usd
    from {{ ref('stg_decisions') }}
    group by evidence
),

lived as (
    select
        evidence,
        count(*) as sessions,
        cast(sum(pnl_usd) as decimal(18, 4)) as session_pnl_usd,
        avg(return_fraction) as return_fraction_mean,
        {{ annualised_ratio('count(return_fraction)', 'avg(return_fraction)', 'stddev_samp(return_fraction)') }}
            as sharpe_ratio
    from {{ ref('stg_sessions') }}
    group by evidence
),

closed as (
    select
        evidence,
        {{ trade_statistics() }}
    from {{ ref('stg_trades') }}
    group by evidence
)

select
    kinds.evidence,
    coalesce(decided.decisions, 0) as decisions,
    coalesce(decided.model_cost_usd, 0) as model_cost_usd,
    coalesce(lived.sessions, 0) as sessions,
    coalesce(lived.session_pnl_usd, 0) as session_pnl_usd,
    lived.return_fraction_mean,
    lived.sharpe_ratio,
    coalesce(closed.trades, 0) as trades,
    coalesce(closed.wins, 0) as wins,
    coalesce(closed.losses, 0) as losses,
    closed.win_rate_fraction,
    coalesce(closed.pnl_usd, 0) as pnl_usd,
    coalesce(closed.fees_usd, 0) as fees_usd,
    closed.payoff_ratio,
    closed.profit_factor,
    closed.expectancy_usd,
    closed.r_multiple_mean,
    closed.sessions_held_mean,
    closed.session_first,
    closed.session_last
from kinds
left join decided using (evidence)
left join lived using (evidence)
left join closed using (evidence)
