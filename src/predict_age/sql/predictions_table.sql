-- Step 5. The table of raw predictions; one Parquet file a batch.
CREATE EXTERNAL TABLE IF NOT EXISTS predict_age_predictions (
    pid BIGINT,
    predicted_age INT,
    confidence_score DOUBLE,
    age_lower DOUBLE,
    age_upper DOUBLE,
    model_version STRING,
    profile_key BIGINT,
    prediction_timestamp TIMESTAMP
)
STORED AS PARQUET
LOCATION 's3://bucket/predict-age/predictions/'
