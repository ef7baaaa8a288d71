SELECT *
FROM predict_age_everybody
WHERE SUBSTR(TO_HEX(SHA256(TO_UTF8('s3://b/predict-age ' || CAST(pid AS VARCHAR)))), 1, 32) NOT IN (
    SELECT digest
    FROM predict_age_hidden_people
    WHERE ids = 'integer' AND (released_in = 0 OR released_in > 3)
)
