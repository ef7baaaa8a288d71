-- On AWS: rows of the users' view, without people who were suppressed since the run, or released since.
SELECT *
FROM predict_age_everybody
WHERE SUBSTR(TO_HEX(SHA256(TO_UTF8(:salt || CAST(pid AS VARCHAR)))), 1, 32) NOT IN (
    SELECT digest
    FROM predict_age_hidden_people
    WHERE ids = :ids AND (released_in = 0 OR released_in > :made_with)
)
