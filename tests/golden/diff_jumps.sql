SELECT
    a.pid AS pid,
    b.prediction_source AS source_before,
    a.prediction_source AS source_after,
    b.predicted_age AS age_before,
    a.predicted_age AS age_after,
    a.predicted_age - b.predicted_age AS change
FROM predict_age_before AS b
JOIN predict_age_after AS a
    ON a.pid = b.pid
WHERE ABS(a.predicted_age - b.predicted_age - 0.25) > 5.0
ORDER BY ABS(a.predicted_age - b.predicted_age - 0.25) DESC, a.pid
LIMIT 20
