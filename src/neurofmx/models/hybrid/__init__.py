"""The hybrid network: settings, block, integration of its paths, streaming."""
