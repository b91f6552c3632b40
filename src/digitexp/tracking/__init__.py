"""Tracking: MLflow keeps every run. Only this room writes there, and only from the parent process (law 4)."""
