"""How the machine, the processes and their surroundings fare: checks, what is told of them, and figures for Prometheus."""
