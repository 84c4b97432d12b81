import numpy as np


def dbias(dy):
    """dy: (N, O, OH, OW); returns db: (O,)."""
    # BEGIN
    N, O, OH, OW = dy.shape
    db = np.zeros(O)
    for n, o, oh, ow in np.ndindex(dy.shape):
        db[o] += dy[n, o, oh, ow]
    return db
    # END
