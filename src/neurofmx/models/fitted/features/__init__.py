"""What the linear models read of a window."""
