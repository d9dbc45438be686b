"""The page of an output folder."""
