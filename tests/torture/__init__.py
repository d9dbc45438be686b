"""Files that hurt: how they are made, and what must become of them. See `corpus`."""
