CREATE EXTERNAL TABLE IF NOT EXISTS predict_age_hidden_people (
    digest STRING,
    ids STRING,
    released_in INT
)
STORED AS PARQUET
LOCATION 's3://bucket/predict-age/hidden/'
