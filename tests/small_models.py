"""Configuration of models that train in a second or two: what test configurations of whole runs begin with."""

from __future__ import annotations

SMALL_TRAINING = """
[training]
rounds = 3
light_rounds = 3
networks = 1
network_passes = 1
cross_fit_below_rows = 0
max_depth = 3
forest_trees = 2
forest_depth = 3
min_rows = 20
"""
SMALL_MODELS = f"""{SMALL_TRAINING}[prediction]
batch_rows = 40
[gates]
baselines = false
worse_share = 0.0
[running]
"""
