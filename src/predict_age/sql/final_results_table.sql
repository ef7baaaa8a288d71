-- Step 8, on AWS: the table over what the merge unloaded.
CREATE EXTERNAL TABLE IF NOT EXISTS predict_age_final_results (
    pid BIGINT,
    source_id STRING,
    predicted_age INT,
    confidence_score DOUBLE,
    confidence_pct DOUBLE,
    prediction_source STRING,
    qa_timestamp TIMESTAMP,
    age_lower DOUBLE,
    age_upper DOUBLE,
    model_version STRING,
    run_id STRING,
    usable BOOLEAN
)
STORED AS PARQUET
LOCATION 's3://bucket/predict-age/results/'
