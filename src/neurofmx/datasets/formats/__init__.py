"""Formats of files, each read for all the datasets that come in it."""
