"""The parts of a split: what each window of a fold is for."""

TRAIN, VALIDATION, TEST, GAP = 0, 1, 2, -1
