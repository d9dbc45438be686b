"""Everything that knows a path or a column on disk."""
