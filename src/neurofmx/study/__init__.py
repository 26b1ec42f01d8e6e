"""What a suite of params.yaml found, as tables and figures."""
