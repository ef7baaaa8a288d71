SELECT
    q.prediction_source AS prediction_source,
    q.review_reason AS review_reason,
    COUNT(*) AS n
FROM predict_age_human_qa AS q
GROUP BY q.prediction_source, q.review_reason
