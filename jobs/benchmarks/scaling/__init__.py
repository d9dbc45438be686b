"""Cost and time of many videos on many machines, simulated."""
