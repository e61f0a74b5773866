"""The weekly desk: screen, paths, target weights. What it wants is a fact that the decision cycle may act on."""
