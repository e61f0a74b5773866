"""The improvement report: what happened, why, what to change and what comes, for a session or a week."""
