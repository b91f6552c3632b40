"""Executors: who trains the runs that are asked for. They bring what is found to the parent, which alone writes (law 4)."""
