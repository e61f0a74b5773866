"""Telling the operator: pages that want an answer, and news that wants none."""
