-- The ids of the keys that a process holds, the one that seals first, with commas: secrets are sealed anew
-- only with a key that every process has. Empty once it ended; null: a version that does not say.
ALTER TABLE node ADD COLUMN keys TEXT;

-- A known text sealed with each key, so that a wrong key is told from a damaged secret.
CREATE TABLE sealing_key (
  id TEXT PRIMARY KEY,
  proof TEXT NOT NULL,
  made_at BIGINT NOT NULL
);
