"""Expressions of the faces in one picture."""
