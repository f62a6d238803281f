"""What an experiment will take, and what it took."""
