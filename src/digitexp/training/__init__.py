"""Training: a configuration and data in, a trained Keras model and its curves out."""
