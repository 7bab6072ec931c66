"""What a person asks of the tables, answered as plain values from one snapshot."""
