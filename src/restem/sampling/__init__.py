"""The E-step's draws: question -> prompt -> completions, shard by shard."""
