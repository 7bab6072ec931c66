"""The lake: immutable DuckDB files, atomic commits, snapshots. Nothing outside knows files."""
