"""The watchdog: the process that can stop everything. Its own connection, its own role in the ledger, no word of any stage."""
