"""A live picture, analysed frame by frame."""
