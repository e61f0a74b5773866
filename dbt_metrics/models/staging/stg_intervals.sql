select
    session,
    measure,
    evidence,
    estimate,
    low,
    high,
    level as level_fraction,
    observations
from {{ source('raw', 'metric_intervals') }}
