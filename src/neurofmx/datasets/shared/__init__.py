"""What datasets share: their contract, archives, generated recordings, checksums, manifests."""
