"""The hourly review: how the session stands against the view at its open, and whether risk should be made smaller."""
