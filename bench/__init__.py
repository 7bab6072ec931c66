"""Synthetic histories of any size, and how long each stage takes on them."""
