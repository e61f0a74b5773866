"""What stands behind a plan: rows of the lake with their versions and digests, citations read again, and all of it in words."""
