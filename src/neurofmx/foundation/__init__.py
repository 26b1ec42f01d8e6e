"""Training of the multimodal model: pretrained on many sets, begun on new sessions, of several modalities at once."""
