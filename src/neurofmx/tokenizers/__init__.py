"""From clean recordings to windows, and from windows to tokens `(batch, tokens, dim)`."""
