"""Where the data comes from: archives of Parquet files, the venue's APIs, a synthetic history."""
