SELECT
    s.pid AS pid,
    CASE WHEN NOT s.withheld AND (p.pid IS NULL OR p.predicted_age IS NOT NULL) THEN s.birth_year END AS birth_year,
    CASE
        WHEN NOT s.withheld AND (p.pid IS NULL OR p.predicted_age IS NOT NULL) THEN s.approximate_age
    END AS approximate_age,
    p.predicted_age AS predicted_age,
    p.confidence_score AS confidence_score,
    p.age_lower AS age_lower,
    p.age_upper AS age_upper,
    p.model_version AS model_version,
    CAST(CASE
        WHEN s.withheld OR (p.pid IS NOT NULL AND p.predicted_age IS NULL) THEN NULL
        WHEN s.known_age IS NOT NULL THEN s.known_age
        WHEN p.predicted_age IS NOT NULL THEN p.predicted_age
        ELSE 35
    END AS INTEGER) AS final_age,
    CASE
        WHEN s.withheld OR (p.pid IS NOT NULL AND p.predicted_age IS NULL) THEN 'WITHHELD'
        WHEN s.known_source IS NOT NULL THEN s.known_source
        WHEN p.predicted_age IS NOT NULL THEN 'ML_PREDICTION'
        ELSE 'DEFAULT'
    END AS prediction_source,
    CASE
        WHEN s.withheld OR (p.pid IS NOT NULL AND p.predicted_age IS NULL) THEN NULL
        WHEN s.conflicting_age THEN 'AGE_AND_BIRTH_YEAR_DISAGREE'
        WHEN s.implausible_age THEN 'IMPLAUSIBLE_AGE'
        WHEN s.unreadable_age THEN 'UNREADABLE_AGE'
        WHEN s.known_age IS NULL AND p.predicted_age IS NULL THEN 'NO_USABLE_PROFILE'
    END AS review_reason
FROM source_rows AS s
LEFT JOIN predict_age_predictions AS p
    ON s.pid = p.pid
