"""digitexp: hyperparameter experiments on handwritten digits."""
