"""Seed 003's own loss function, as an example of yours.

    python -m digitexp 'extensions=[docs/own_loss.py]' loss=seed003_mean_absolute_error
    python -m digitexp 'extensions=[docs/own_loss.py]' search.name=own_loss \
        'search.space={loss:[categorical_crossentropy,seed003_mean_absolute_error]}'

What a run is, for resume, is the text of this function: what decides stands inside it. A change to something that it
calls, or to a constant outside, is not noticed; give it another name then.
"""

import digitexp


@digitexp.register("loss")
def seed003_mean_absolute_error(y_true, y_pred):
    """The mean absolute error over the classes: (batch, classes) twice -> (batch,)."""
    from keras import ops  # imported here, so that a mistyped setting never waits for TensorFlow

    return ops.mean(ops.abs(y_true - y_pred), axis=-1)
