"""What the parameters are, whether they fit together, and whether they fit what was made before."""
