"""What a part of the day has to show for itself, and who asked for it."""
