"""Labelled faces: data sets, their formats, augmentation."""
