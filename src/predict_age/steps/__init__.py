"""The steps of the pipeline, in the order of :data:`predict_age.pipeline.runner.STEPS`; each module has one public function."""
