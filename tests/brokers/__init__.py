"""Every broker behind the one port, seen from above."""
