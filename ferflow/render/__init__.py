"""Things made from a video and its tables."""
