"""Version of the program, which the package offers as ``predict_age.__version__``."""

__version__ = "0.2.0"
