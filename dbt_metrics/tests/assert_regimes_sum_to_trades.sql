select groups.trades, all_trades.trades as trades_expected
from (select coalesce(sum(trades), 0) as trades, coalesce(sum(pnl_usd), 0) as pnl_usd from {{ ref('regime_metrics') }}) as groups
cross join (select count(*) as trades, coalesce(sum(pnl_usd), 0) as pnl_usd from {{ ref('trade_metrics') }}) as all_trades
where groups.trades != all_trades.trades or groups.pnl_usd != all_trades.pnl_usd
