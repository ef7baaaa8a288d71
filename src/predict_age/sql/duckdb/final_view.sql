SELECT
  CAST(pid AS BIGINT) AS pid,
  CAST(source_id AS TEXT) AS source_id,
  CAST(predicted_age AS INT) AS predicted_age,
  CAST(confidence_score AS DOUBLE) AS confidence_score_original,
  CAST(confidence_pct AS DOUBLE) AS confidence_pct,
  CAST(prediction_source AS TEXT) AS prediction_source,
  CAST(qa_timestamp AS TIMESTAMP) AS qa_timestamp,
  CAST(age_lower AS DOUBLE) AS age_lower,
  CAST(age_upper AS DOUBLE) AS age_upper,
  CAST(model_version AS TEXT) AS model_version,
  CAST(run_id AS TEXT) AS run_id,
  CAST(usable AS BOOLEAN) AS usable
FROM predict_age_final_results
