"""Ways in which a sparse matrix in a file, of HDF5 or of Zarr, does not hold together.

Each changes the group of the small matrix, which both libraries let one do in the same words.
"""

import numpy as np

from tests.data.small_file import N_CELLS, N_GENES


def damage_shape(x):
    x.attrs["shape"] = [N_CELLS, 2]


def damage_length(x):
    x.attrs["shape"] = [N_CELLS + 1, N_GENES]


def damage_formats(x):
    x.attrs["h5sparse_format"] = "csc"


def damage_indices(x):
    x["indices"][1] = 2**30


def damage_negative(x):
    x["indices"][1] = -1


def damage_start(x):
    x["indptr"][0] = 1


def damage_order(x):
    x["indptr"][2] = 10_000


def damage_end(x):
    x["indptr"][N_CELLS] += 3


def damage_values(x):
    values = x["data"][:-1]
    del x["data"]
    x["data"] = values


def damage_kind(x):
    values = x["indices"][:]
    del x["indices"]
    x["indices"] = values.astype(float)


def damage_absent(x):
    del x["indptr"]


def damage_wrap(x):
    """Unsigned row pointers whose differences would wrap around."""
    values = x["indptr"][:].astype(np.uint64)
    values[2] = 2**64 - 1
    del x["indptr"]
    x["indptr"] = values


DAMAGES = [value for name, value in sorted(globals().items()) if name.startswith("damage_")]
