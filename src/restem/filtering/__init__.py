"""Which scored samples, and which solutions from elsewhere, are learned from."""
