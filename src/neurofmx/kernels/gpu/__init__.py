"""Kernels for a GPU, written in Triton, and the operators that torch sees of them."""
