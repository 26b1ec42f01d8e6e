"""How files come from where they are published: clients of archives, resumable and polite downloads, unpacking."""
