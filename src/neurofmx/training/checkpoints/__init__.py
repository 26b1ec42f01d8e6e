"""What training leaves: weights, settings, and facts about them."""
