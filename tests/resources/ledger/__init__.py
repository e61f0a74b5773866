"""Tests of the ledger on real SQLite files."""
