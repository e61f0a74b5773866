select session, equity_usd, cash_usd, market_value_usd
from {{ ref('daily_metrics') }}
where equity_usd is distinct from cash_usd + market_value_usd
