"""The expression models: cards and weights, classification, evaluation, training and export."""
