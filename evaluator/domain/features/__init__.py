"""Wallet features: one module per group, listed in `catalogue`."""
