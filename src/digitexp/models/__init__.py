"""Networks: a configuration in, a compiled Keras model out."""
