-- What followers did to a live delivery, as its network last told it.
CREATE TABLE numbers (
  delivery_id TEXT NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
  metric TEXT NOT NULL,
  -- The network's id of the post that was measured: it may have been taken down and published anew.
  remote_id TEXT NOT NULL,
  value BIGINT NOT NULL,
  measured_at BIGINT NOT NULL,
  PRIMARY KEY (delivery_id, metric)
);
