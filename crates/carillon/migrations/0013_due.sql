-- The first ready job of a lane by its index: an aggregate went through all that the lane will do.
DROP VIEW lane_due;
CREATE VIEW lane_due AS SELECT gate.lane AS lane, CASE
  WHEN gate.paused_at IS NOT NULL OR gate.shut_by IS NOT NULL THEN NULL
  WHEN (SELECT count(*) FROM job WHERE job.lane = gate.lane AND job.state = 'leased') >= gate.width THEN NULL
  ELSE coalesce((SELECT CASE
      WHEN job.run_at >= gate.open_at AND job.run_at >= gate.circuit_until THEN job.run_at
      WHEN gate.open_at >= gate.circuit_until THEN gate.open_at
      ELSE gate.circuit_until END
    FROM job WHERE job.lane = gate.lane AND job.state = 'ready' ORDER BY job.run_at, job.id LIMIT 1), 9000000000000)
  END AS due FROM gate;
