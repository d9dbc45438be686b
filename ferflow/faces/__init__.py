"""From a frame to who is where: detection, tracks, shots, head pose, crops."""
