-- Step 7, on AWS: the table over what the join unloaded.
CREATE EXTERNAL TABLE IF NOT EXISTS predict_age_human_qa (
    pid BIGINT,
    source_id STRING,
    birth_year INT,
    approximate_age INT,
    predicted_age INT,
    confidence_score DOUBLE,
    age_lower DOUBLE,
    age_upper DOUBLE,
    model_version STRING,
    final_age INT,
    prediction_source STRING,
    review_reason STRING
)
STORED AS PARQUET
LOCATION 's3://bucket/predict-age/qa/'
