"""The stories that the news tells about a symbol: where in its life each one is, and whether there is an edge left in it."""
