"""Draw a short video to try ferflow on: two people, a crossing, a cut, and stretches without people.

Both people are warps of one public-domain portrait (NASA, Eileen Collins, as shipped in scikit-image), which is read
from that package at run time. Smiles and surprise are drawn by moving landmarks and the pixels between them. The script
states what was drawn, not what a network recognises, and not what anyone feels.
"""

from ferflow.demo_clip.film import draw_sample
from ferflow.demo_clip.portrait import face_image
from ferflow.demo_clip.script import rest_stretches

__all__ = ["draw_sample", "face_image", "rest_stretches"]
