"""Tree ensembles of XGBoost and LightGBM as plain arrays, evaluated by kernels."""
