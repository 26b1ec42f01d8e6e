"""Compiled loops for the CPU, forward and backward, and the operators that torch sees of them."""
