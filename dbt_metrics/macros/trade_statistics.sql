{# The measures of a group of closed trades. #}
{% macro trade_statistics() -%}
    count(*) as trades,
    count(*) filter (where is_win) as wins,
    count(*) filter (where is_loss) as losses,
    {{ ratio('count(*) filter (where is_win)', 'count(*)') }} as win_rate_fraction,
    cast(sum(pnl_usd) as decimal(18, 4)) as pnl_usd,
    cast(sum(fees_usd) as decimal(18, 4)) as fees_usd,
    cast(sum(dividends_usd) as decimal(18, 4)) as dividends_usd,
    avg(pnl_usd) filter (where is_win) as win_usd_mean,
    avg(pnl_usd) filter (where is_loss) as loss_usd_mean,
    {{ ratio('avg(pnl_usd) filter (where is_win)', 'abs(avg(pnl_usd) filter (where is_loss))') }} as payoff_ratio,
    {{ ratio('coalesce(sum(pnl_usd) filter (where is_win), 0)', 'abs(sum(pnl_usd) filter (where is_loss))') }}
        as profit_factor,
    cast(avg(pnl_usd) as double) as expectancy_usd,
    avg(r_multiple) as r_multiple_mean,
    avg(sessions_held) as sessions_held_mean,
    cast(max(pnl_usd) as decimal(18, 4)) as pnl_usd_best,
    cast(min(pnl_usd) as decimal(18, 4)) as pnl_usd_worst,
    {{ evidence_counts() }},
    min(session) as session_first,
    max(session) as session_last
{%- endmacro %}

{# How many trades of a group rest on what: evidence of different kinds is never mixed without saying so. #}
{% macro evidence_counts() -%}
    count(*) filter (where evidence = 'rules') as trades_rules,
    count(*) filter (where evidence = 'clean') as trades_clean,
    count(*) filter (where evidence = 'unknown') as trades_unknown,
    count(*) filter (where evidence = 'contaminated') as trades_contaminated
{%- endmacro %}
