"""One invocation of a question: what is known to be finished, what is trained, how it ends."""
