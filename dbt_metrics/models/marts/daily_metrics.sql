with benchmark as (
    select
        benchmark.session,
        benchmark.equity_usd as benchmark_equity_usd,
        lag(equity_usd, 1, starting_cash_usd) over (order by session) as benchmark_equity_usd_before,
        {{ drawdown('equity_usd', 'starting_cash_usd', '(order by session)') }} as benchmark_drawdown_fraction
    from {{ ref('stg_benchmark') }} as benchmark
    cross join {{ ref('stg_book') }} as book
),

closed as (
    select
        session,
        count(*) as trades_closed,
        count(*) filter (where is_win) as wins,
        count(*) filter (where is_loss) as losses,
        count(r_multiple) as r_multiples,
        sum(pnl_usd) as realised_pnl_usd,
        sum(pnl_usd) filter (where is_win) as win_usd,
        sum(pnl_usd) filter (where is_loss) as loss_usd,
        sum(r_multiple) as r_multiple,
        sum(sessions_held) as sessions_held
    from {{ ref('stg_trades') }}
    group by session
),

held as (
    select session, sum(abs(market_value_usd)) as gross_value_usd
    from {{ ref('stg_positions') }}
    group by session
),

traded as (
    select
        session,
        sum(shortfall_usd) filter (where is_filled) as slippage_usd,
        sum(decided_value_usd) filter (where is_filled and shortfall_usd is not null) as decided_value_usd,
        sum(shortfall_usd) filter (where not is_filled) as unfilled_usd
    from {{ ref('stg_slippage') }}
    group by session
),

returns as (
    select
        account.*,
        {{ ratio('coalesce(gross_value_usd, 0)', 'equity_usd') }} as gross_exposure_fraction,
        coalesce(slippage_usd, 0) as slippage_usd,
        coalesce(decided_value_usd, 0) as decided_value_usd,
        coalesce(unfilled_usd, 0) as unfilled_usd,
        {{ ratio('market_value_usd', 'equity_usd') }} as exposure_fraction,
        {{ ratio('traded_value_usd', 'equity_usd_before') }} as turnover_fraction,
        {{ drawdown('equity_usd', 'starting_cash_usd', '(order by session)') }} as drawdown_fraction,
        benchmark_equity_usd,
        benchmark_drawdown_fraction,
        {{ ratio('benchmark_equity_usd - benchmark_equity_usd_before', 'benchmark_equity_usd_before') }}
            as benchmark_return_fraction,
        coalesce(trades_closed, 0) as trades_closed,
        coalesce(realised_pnl_usd, 0) as realised_pnl_usd,
        wins,
        losses,
        win_usd,
        loss_usd,
        r_multiples,
        r_multiple,
        sessions_held
    from {{ ref('stg_sessions') }} as account
    left join benchmark using (session)
    left join closed using (session)
    left join held using (session)
    left join traded using (session)
),

to_date as (
    select
        *,
        count(*) over so_far as sessions,
        count(return_fraction) over so_far as returns,
        avg(return_fraction) over so_far as return_mean,
        stddev_samp(return_fraction) over so_far as return_deviation,
        sqrt(avg(pow(least(return_fraction, 0), 2)) over so_far) as downside_deviation,
        count(benchmark_return_fraction) over so_far as benchmark_returns,
        avg(benchmark_return_fraction) over so_far as benchmark_return_mean,
        stddev_samp(benchmark_return_fraction) over so_far as benchmark_return_deviation,
        max(drawdown_fraction) over so_far as max_drawdown_fraction,
        max(benchmark_drawdown_fraction) over so_far as benchmark_max_drawdown_fraction,
        avg(exposure_fraction) over so_far as exposure_fraction_mean,
        avg(turnover_fraction) over so_far as turnover_fraction_mean,
        avg(market_value_usd) over so_far as market_value_usd_mean,
        sum(fees_usd) over so_far as fees_usd_to_date,
        sum(dividends_usd) over so_far as dividends_usd_to_date,
        sum(plans) over so_far as plans_to_date,
        sum(vetoes) over so_far as vetoes_to_date,
        sum(trades_closed) over so_far as trades_to_date,
        sum(realised_pnl_usd) over so_far as realised_pnl_usd_to_date,
        coalesce(sum(wins) over so_far, 0) as wins_to_date,
        coalesce(sum(losses) over so_far, 0) as losses_to_date,
        coalesce(sum(win_usd) over so_far, 0) as win_usd_to_date,
        coalesce(sum(loss_usd) over so_far, 0) as loss_usd_to_date,
        sum(r_multiple) over so_far as r_multiple_to_date,
        sum(r_multiples) over so_far as r_multiples_to_date,
        sum(sessions_held) over so_far as sessions_held_to_date,
        sum(slippage_usd) over so_far as slippage_usd_to_date,
        sum(decided_value_usd) over so_far as decided_value_usd_to_date,
        sum(unfilled_usd) over so_far as unfilled_usd_to_date,
        sum(model_cost_usd) over so_far as model_cost_usd_to_date,
        sum(decided_slots) over so_far as decided_slots_to_date,
        min(evidence) over so_far as evidence_least,
        max(evidence) over so_far as evidence_most
    from returns
    window so_far as (order by session rows between unbounded preceding and current row)
)

select
    session,
    evidence,
    case when evidence_least = evidence_most then evidence_most else 'mixed' end as evidence_to_date,
    cast(equity_usd as decimal(18, 4)) as equity_usd,
    cast(cash_usd as decimal(18, 4)) as cash_usd,
    cast(market_value_usd as decimal(18, 4)) as market_value_usd,
    cast(pnl_usd as decimal(18, 4)) as pnl_usd,
    cast(equity_usd - starting_cash_usd as decimal(18, 4)) as pnl_usd_to_date,
    return_fraction,
    {{ ratio('equity_usd - starting_cash_usd', 'starting_cash_usd') }} as return_fraction_to_date,
    case
        when sessions >= {{ var('sessions_per_year') }}
            then pow({{ ratio('equity_usd', 'starting_cash_usd') }}, {{ var('sessions_per_year') }} / sessions) - 1
    end as cagr_fraction,
    drawdown_fraction,
    max_drawdown_fraction,
    return_deviation * sqrt({{ var('sessions_per_year') }}) as volatility_fraction_annualised,
    {{ annualised_ratio('returns', 'return_mean', 'return_deviation') }} as sharpe_ratio,
    {{ annualised_ratio('returns', 'return_mean', 'downside_deviation') }} as sortino_ratio,
    exposure_fraction,
    exposure_fraction_mean,
    gross_exposure_fraction,
    turnover_fraction,
    turnover_fraction_mean * {{ var('sessions_per_year') }} as turnover_fraction_annualised,
    {{ ratio('equity_usd - starting_cash_usd', 'market_value_usd_mean') }} as capital_efficiency_fraction,
    cast(fees_usd as decimal(18, 4)) as fees_usd,
    cast(fees_usd_to_date as decimal(18, 4)) as fees_usd_to_date,
    cast(dividends_usd as decimal(18, 4)) as dividends_usd,
    cast(dividends_usd_to_date as decimal(18, 4)) as dividends_usd_to_date,
    cast(slippage_usd as decimal(18, 4)) as slippage_usd,
    cast(slippage_usd_to_date as decimal(18, 4)) as slippage_usd_to_date,
    {{ basis_points('slippage_usd_to_date', 'decided_value_usd_to_date') }} as slippage_bp_to_date,
    cast(unfilled_usd_to_date as decimal(18, 4)) as unfilled_usd_to_date,
    cast(model_cost_usd as double) as model_cost_usd,
    cast(model_cost_usd_to_date as double) as model_cost_usd_to_date,
    {{ ratio('model_cost_usd_to_date', 'decided_slots_to_date') }} as model_cost_usd_per_decision,
    cast(fees_usd_to_date + slippage_usd_to_date + model_cost_usd_to_date as double) as cost_usd_to_date,
    positions,
    decisions,
    plans,
    vetoes,
    {{ ratio('vetoes_to_date', 'plans_to_date') }} as veto_rate_fraction,
    cast(trades_closed as bigint) as trades_closed,
    cast(trades_to_date as bigint) as trades_to_date,
    cast(realised_pnl_usd as decimal(18, 4)) as realised_pnl_usd,
    cast(realised_pnl_usd_to_date as decimal(18, 4)) as realised_pnl_usd_to_date,
    {{ ratio('wins_to_date', 'trades_to_date') }} as win_rate_fraction,
    {{ ratio('win_usd_to_date', 'wins_to_date') }} as win_usd_mean,
    {{ ratio('loss_usd_to_date', 'losses_to_date') }} as loss_usd_mean,
    {{ ratio(ratio('win_usd_to_date', 'wins_to_date'), 'abs(' ~ ratio('loss_usd_to_date', 'losses_to_date') ~ ')') }}
        as payoff_ratio,
    {{ ratio('win_usd_to_date', 'abs(loss_usd_to_date)') }} as profit_factor,
    {{ ratio('realised_pnl_usd_to_date', 'trades_to_date') }} as expectancy_usd,
    {{ ratio('r_multiple_to_date', 'r_multiples_to_date') }} as r_multiple_mean,
    {{ ratio('sessions_held_to_date', 'trades_to_date') }} as sessions_held_mean,
    cast(benchmark_equity_usd as decimal(18, 4)) as benchmark_equity_usd,
    benchmark_return_fraction,
    {{ ratio('benchmark_equity_usd - starting_cash_usd', 'starting_cash_usd') }} as benchmark_return_fraction_to_date,
    benchmark_drawdown_fraction,
    benchmark_max_drawdown_fraction,
    {{ annualised_ratio('benchmark_returns', 'benchmark_return_mean', 'benchmark_return_deviation') }}
        as benchmark_sharpe_ratio,
    {{ ratio('equity_usd - benchmark_equity_usd', 'starting_cash_usd') }} as excess_return_fraction_to_date
from to_date
order by session
