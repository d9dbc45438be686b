"""What a file or a folder of somebody else could do to those who hand it to ferflow, and must not."""
