"""Building blocks of the networks: each takes (batch, length, channels) and carries its state in and out."""
