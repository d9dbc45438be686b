"""The page of a whole output folder."""
