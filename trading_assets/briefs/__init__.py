"""What each analyst says of the facts before the open."""
