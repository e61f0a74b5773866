"""The process that can stop everything: its own connection, its own role in the ledger, no word of any stage."""
