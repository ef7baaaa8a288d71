-- The command `diff`, on AWS: the people whose age changed most beyond what is expected, in both runs.
SELECT
    a.pid AS pid,
    b.prediction_source AS source_before,
    a.prediction_source AS source_after,
    b.predicted_age AS age_before,
    a.predicted_age AS age_after,
    COALESCE(a.source_id, b.source_id) AS source_id,
    a.predicted_age - b.predicted_age AS change
FROM predict_age_before AS b
JOIN predict_age_after AS a
    ON a.pid = b.pid
WHERE ABS(a.predicted_age - b.predicted_age - :expected) > :jump_years
ORDER BY ABS(a.predicted_age - b.predicted_age - :expected) DESC, a.pid
LIMIT 20
