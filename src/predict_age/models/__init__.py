"""Ridge (baseline), boosted trees (the prediction), quantile forest (the interval), and the artefact that holds them."""
