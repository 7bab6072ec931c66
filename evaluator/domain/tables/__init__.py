"""Every table of the lake, declared once; see `registry.TABLES`."""
