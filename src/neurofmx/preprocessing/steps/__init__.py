"""What the cleaning of several modalities is made of."""
