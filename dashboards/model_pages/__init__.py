"""Pages about a model: evaluation, explanation, training curves."""
