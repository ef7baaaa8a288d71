"""The Python interface: ``import predict_age as pa``, then ``pa.run``, ``pa.load``, ``pa.open_run``, ``pa.init``, ``pa.evaluate``.

The package ``predict_age`` offers these names and imports them when they are used, so that importing it takes no time.
"""
