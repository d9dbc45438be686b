"""How the work is run: engines, benchmarks, job files."""
