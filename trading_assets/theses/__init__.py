"""Claims about symbols, with a horizon, a confidence and the price that proves them wrong."""
