select session, measure, evidence, low, high
from {{ ref('stg_intervals') }}
where
    (low is null) != (high is null)
    or (low is not null and not low <= high)
    or not (level_fraction > 0 and level_fraction < 1)
    or not observations >= 1
