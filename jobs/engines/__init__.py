"""How tasks are carried out: in this process, in worker processes, on a Ray cluster."""
