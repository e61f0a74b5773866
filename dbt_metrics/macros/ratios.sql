{# A quotient of which the denominator may be nothing: undefined is null, never 0 and never infinite. #}
{% macro ratio(numerator, denominator) -%}
    cast(cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0) as double)
{%- endmacro %}

{# Mean over deviation of returns per session, annualised; null before the second return or without deviation. #}
{% macro annualised_ratio(returns, mean, deviation) -%}
    case
        when {{ returns }} >= 2 and {{ deviation }} > {{ var('deviation_min') }}
            then {{ mean }} / {{ deviation }} * sqrt({{ var('sessions_per_year') }})
    end
{%- endmacro %}

{# Fraction lost since the highest value so far; `start` counts as the first value. #}
{% macro drawdown(value, start, window) -%}
    1 - {{ ratio(value, 'greatest(max(' ~ value ~ ') over ' ~ window ~ ', ' ~ start ~ ')') }}
{%- endmacro %}

{# Basis points of a value; null where there is none. #}
{% macro basis_points(cost, value) -%}
    {{ ratio(cost, value) }} * 10000
{%- endmacro %}
