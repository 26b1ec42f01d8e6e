"""What a recording is, and how it lies on disk and is read a stretch of time at a time."""
