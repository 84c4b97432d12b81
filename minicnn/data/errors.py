"""What can be wrong with a data set. Every message is one line and names the file or the folder."""


class DatasetError(ValueError):
    """Files are there, but they are not the data set: damaged, different or incomplete."""


class IdxError(DatasetError):
    """A file is not a valid IDX file, or its SHA-256 is not the expected one."""


class DatasetNotFoundError(FileNotFoundError):
    """A data set is nowhere on this machine and could not be downloaded either."""
