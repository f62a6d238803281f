"""The samples of an iteration for others: a folder that `datasets` and TRL's trainers load, with a card."""
