"""NeuroFMX."""
