"""The six Lambda functions of the state machine. They import boto3 and light modules only, which a test checks."""
