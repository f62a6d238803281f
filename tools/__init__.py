"""What the project needs to make itself, and no user of it does."""
