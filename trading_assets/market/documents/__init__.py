"""News, filings and macro series: text and numbers that others published, with the time at which each became knowable."""
