select trade_id, session_opened, session
from {{ ref('trade_metrics') }}
where session_opened > session
