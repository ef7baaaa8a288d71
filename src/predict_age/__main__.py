"""``python -m predict_age`` is ``predict-age``."""

from predict_age.cli import main

if __name__ == "__main__":
    main()
