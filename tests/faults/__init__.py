"""Faults at random points of every command that writes: kills, signals, a full disk, a failing disk, no memory, a clock
that jumps back.
"""
