"""The command line is tried on the homes of the orchestration tests."""

from tests.orchestration.conftest import files, own_quarter, quarter, quarter_root

__all__ = ["files", "own_quarter", "quarter", "quarter_root"]
