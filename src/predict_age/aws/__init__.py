"""The pipeline on AWS: the same steps, with S3 as workspace, a state machine as order, Athena for the joins."""
