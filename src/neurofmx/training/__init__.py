"""Fit a decoder on windows: a loop one can read, checkpoints without pickles, resume to the same result."""
