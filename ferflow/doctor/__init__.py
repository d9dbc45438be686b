"""Whether this machine is fit, and whether an output folder is complete."""
