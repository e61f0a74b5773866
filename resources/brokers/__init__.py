"""Members of the Broker port."""
