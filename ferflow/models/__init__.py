"""The expression models: their cards and weights, and how they are made, exported and measured."""
