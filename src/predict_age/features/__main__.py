"""``python -m predict_age.features [FILE]`` prints the table of a feature file."""

import sys
from pathlib import Path

from predict_age.features.reference_table import feature_table
from predict_age.features.spec import load_features

sys.stdout.write(feature_table(load_features(Path(sys.argv[1]) if len(sys.argv) > 1 else None)) + "\n")
