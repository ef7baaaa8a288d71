SELECT
    CAST(q.pid AS BIGINT) AS pid,
    CAST(q.final_age AS INTEGER) AS predicted_age,
    CAST(CASE WHEN q.prediction_source = 'ML_PREDICTION' THEN q.confidence_score END AS DOUBLE) AS confidence_score,
    CAST(CASE
        WHEN q.prediction_source = 'WITHHELD' THEN NULL
        WHEN q.prediction_source = 'DEFAULT' THEN 0.0e0
        WHEN q.prediction_source = 'ML_PREDICTION' THEN q.pct
        ELSE 100.0e0
    END AS DOUBLE) AS confidence_pct,
    CAST(q.prediction_source AS VARCHAR) AS prediction_source,
    CAST('2025-10-23 08:00:00' AS TIMESTAMP) AS qa_timestamp,
    CAST(CASE
        WHEN q.prediction_source = 'ML_PREDICTION' THEN q.age_lower
        WHEN q.prediction_source NOT IN ('DEFAULT', 'WITHHELD') THEN CAST(q.final_age AS DOUBLE)
    END AS DOUBLE) AS age_lower,
    CAST(CASE
        WHEN q.prediction_source = 'ML_PREDICTION' THEN q.age_upper
        WHEN q.prediction_source NOT IN ('DEFAULT', 'WITHHELD') THEN CAST(q.final_age AS DOUBLE)
    END AS DOUBLE) AS age_upper,
    CAST(CASE WHEN q.prediction_source = 'ML_PREDICTION' THEN q.model_version END AS VARCHAR) AS model_version,
    CAST('20251023T080000Z-1f00ba54' AS VARCHAR) AS run_id,
    CAST(CASE
        WHEN q.prediction_source IN ('DEFAULT', 'WITHHELD') THEN FALSE
        WHEN q.prediction_source = 'ML_PREDICTION' THEN q.pct >= CAST(40.0 AS DOUBLE)
        ELSE TRUE
    END AS BOOLEAN) AS usable
FROM (
    SELECT
        p.*,
        ROUND(GREATEST(0.0e0, 100.0e0 - ABS(p.confidence_score) * 3.33e0), 2) AS pct
    FROM predict_age_human_qa AS p
) AS q
