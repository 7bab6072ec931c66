"""How answers, progress and errors look on a terminal, in a pipe and as JSON."""
