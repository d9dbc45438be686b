"""Mutation testing: small faults put into the modules that decide numbers, and whether a test notices each.

    make mutants
    python -m tests.mutation --count 200 --seed 1

See `docs/design.md`, "Mutants".
"""
