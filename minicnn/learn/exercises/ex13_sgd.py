import numpy as np


def sgd(w, grad, velocity, lr, momentum):
    """w, grad and velocity of one shape, lr and momentum numbers; returns the new w, velocity."""
    # BEGIN
    velocity = momentum * velocity + grad
    return w - lr * velocity, velocity
    # END
