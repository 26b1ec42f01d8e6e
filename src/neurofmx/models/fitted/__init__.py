"""Decoders that are fitted in closed form or by counting, and what they read."""
