"""Kernels for worker processes, made ready by the server that forks them."""

from predict_age import kernels

if kernels.usable():
    import predict_age.kernels.density
    import predict_age.kernels.memo
    import predict_age.kernels.tokens
    import predict_age.kernels.trees  # noqa: F401
