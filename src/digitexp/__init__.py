"""digitexp: hyperparameter experiments on handwritten digits.

`register` adds a loss, optimizer, metric or network of your own, to be chosen and swept by its name.
"""

from digitexp.registry import register

__all__ = ["register"]
