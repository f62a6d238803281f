"""The page to read samples in: what an experiment answered, as an index, as one file, and as a server."""
