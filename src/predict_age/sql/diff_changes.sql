-- The command `diff`, on AWS: people of two runs by the source of their age before and after, and the change in years.
SELECT
    COALESCE(b.prediction_source, :not_in_run) AS source_before,
    COALESCE(a.prediction_source, :not_in_run) AS source_after,
    a.predicted_age - b.predicted_age AS change,
    COUNT(*) AS people
FROM predict_age_before AS b
FULL JOIN predict_age_after AS a
    ON a.pid = b.pid
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
