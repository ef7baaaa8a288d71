SELECT
    COUNT(*) AS result_rows,
    COUNT(DISTINCT r.pid) AS people,
    COUNT(p.pid) AS matched
FROM predict_age_final_results AS r
LEFT JOIN predict_age_people AS p
    ON r.pid = p.pid
