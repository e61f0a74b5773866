{# Rows outside low..high, both ends allowed; a bound may be left out. NaN and infinities always fail, null never does. #}
{% test within(model, column_name, low=none, high=none) %}
select {{ column_name }}
from {{ model }}
where
    not isfinite(cast({{ column_name }} as double))
    {% if low is not none %}or {{ column_name }} < {{ low }}{% endif %}
    {% if high is not none %}or {{ column_name }} > {{ high }}{% endif %}
{% endtest %}
