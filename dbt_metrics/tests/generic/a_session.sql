{# Days on which the book has no session; null never fails. #}
{% test a_session(model, column_name) %}
select {{ column_name }}
from {{ model }}
where
    {{ column_name }} is not null
    and {{ column_name }} not in (select session from {{ ref('stg_account') }})
{% endtest %}
