"""A small AWS on loopback for tests: moto, with parts that really do the work which moto only acknowledges."""
