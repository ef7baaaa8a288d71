"""The steps of the pipeline, in the order of ``step.STEPS``: one module and one public function each."""
