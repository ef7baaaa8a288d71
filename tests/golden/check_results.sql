SELECT
    r.prediction_source AS prediction_source,
    r.predicted_age AS predicted_age,
    LEAST(CAST(FLOOR(r.confidence_pct / 5.0e0) AS INTEGER), 19) AS pct_bin,
    COUNT(*) AS n,
    SUM(CASE WHEN r.confidence_pct >= 60.0e0 THEN 1 ELSE 0 END) AS high,
    SUM(CASE WHEN r.usable THEN 1 ELSE 0 END) AS usable_rows
FROM predict_age_final_results AS r
GROUP BY r.prediction_source, r.predicted_age, LEAST(CAST(FLOOR(r.confidence_pct / 5.0e0) AS INTEGER), 19)
