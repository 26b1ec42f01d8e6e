"""Pretraining of the multimodal model: what is fed, what is hidden of it, what is asked for, and the loop."""
