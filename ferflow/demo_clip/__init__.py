"""Draw a short video to try ferflow on: two people, a crossing, a cut, and stretches with nobody.

Both people are warps of one public-domain portrait (NASA, Eileen Collins, as shipped in scikit-image); it
is read from that package at run time. Smiles and surprise are drawn by moving landmarks and what lies
between them. What a network calls those faces is for the network to say: `PersonTruth.expression` is what was
*drawn*, not what is felt or recognised.

>>> truth = sample_script(seconds=20.0)
>>> truth.cut_frame, truth.people[0].name
(450, 'A')
"""

from ferflow.demo_clip.film import draw_sample
from ferflow.demo_clip.portrait import face_image
from ferflow.demo_clip.truth import PersonTruth, SampleTruth, sample_script

__all__ = ["PersonTruth", "SampleTruth", "draw_sample", "face_image", "sample_script"]
