"""A trained network at work: what it reads in single images, and the page on which a person draws for it."""
