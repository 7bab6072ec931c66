"""An independent oracle: the specification in plain Python, slow and readable."""
