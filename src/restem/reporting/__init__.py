"""Records of iterations, and the page about an experiment."""
