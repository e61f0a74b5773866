"""What would have been: the same money in another hand, at the same broker's costs."""
