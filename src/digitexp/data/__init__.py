"""Images of handwritten digits: where they come from, how they are normalised, and how they are split."""
