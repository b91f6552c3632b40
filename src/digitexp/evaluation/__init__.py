"""What a run scored, and what the scores of several runs support."""
