"""The benchmark of models that map tokens to states; it knows no model."""
