"""What the multimodal model makes of simulated sessions, beside what their known latents and couplings allow."""
