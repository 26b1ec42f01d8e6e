"""The parts of NeuroFMx, the multimodal model: streams to tokens, tokens to latents, latents to answers."""
