SELECT
    COALESCE(b.prediction_source, 'NOT_IN_RUN') AS source_before,
    COALESCE(a.prediction_source, 'NOT_IN_RUN') AS source_after,
    a.predicted_age - b.predicted_age AS change,
    COUNT(*) AS people
FROM predict_age_before AS b
FULL JOIN predict_age_after AS a
    ON a.pid = b.pid
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
