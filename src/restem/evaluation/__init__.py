"""How good a policy is, how sure that is, and whether another one is better."""
