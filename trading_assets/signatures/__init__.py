"""The controls that stand between a plan and an order."""
