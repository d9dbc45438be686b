"""What this machine offers, and how the runtimes are started."""
