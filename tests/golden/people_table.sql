CREATE EXTERNAL TABLE IF NOT EXISTS predict_age_people (
    pid BIGINT,
    birth_year INT,
    approximate_age INT,
    known_age INT,
    known_source STRING,
    withheld BOOLEAN,
    unreadable_age BOOLEAN,
    implausible_age BOOLEAN,
    conflicting_age BOOLEAN
)
STORED AS PARQUET
LOCATION 's3://bucket/predict-age/people/'
