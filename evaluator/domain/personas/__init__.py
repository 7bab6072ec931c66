"""Personas: gates and detectors over a wallet's features, and the verdict they give."""
