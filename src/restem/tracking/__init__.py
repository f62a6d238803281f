"""MLflow shows what the catalog holds."""
