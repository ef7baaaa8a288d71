"""predict-age: train on the people whose age is known, predict the others with an honest interval, publish one table."""

__version__ = "0.2.0"
