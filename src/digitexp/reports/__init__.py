"""Reports: what the recorded numbers say, for people."""
