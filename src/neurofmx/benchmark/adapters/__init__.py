"""Trained models of the pipeline as the benchmark sees them; nothing else of the benchmark knows a model."""
