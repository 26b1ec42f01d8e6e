"""Vectors of numbers for compiled loops: how to load, multiply and exponentiate them, and where they lie."""
