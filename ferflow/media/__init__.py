"""Pictures, sound and time, in and out; no faces."""
