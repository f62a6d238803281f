"""What is on disk: the journal, tables in shards, and the names of content."""
