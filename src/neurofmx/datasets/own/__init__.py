"""Recordings of one's own: what the kinds `nwb`, `bids`, `edf` and `npz` have in common."""
