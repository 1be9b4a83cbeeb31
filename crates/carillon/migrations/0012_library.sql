-- The library: what media are found by, who uses them, their versions, and what is in the trash.

-- Lower-case words of letters, digits and '-', each between spaces; '' for none.
ALTER TABLE media ADD COLUMN tags TEXT NOT NULL DEFAULT '';
-- What it is found by, folded, each word between spaces; '' until it is in media_word
ALTER TABLE media ADD COLUMN words TEXT NOT NULL DEFAULT '';
-- The number of its present file, which grows with each that takes its place.
ALTER TABLE media ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
-- The highest number that a file of it was given.
ALTER TABLE media ADD COLUMN versions BIGINT NOT NULL DEFAULT 1;
-- Since then its files are gone, too; until then it can be taken out of the trash.
ALTER TABLE media ADD COLUMN purged_at BIGINT;
UPDATE media SET purged_at = deleted_at WHERE deleted_at IS NOT NULL;
CREATE INDEX media_unindexed ON media (id) WHERE words = '' AND deleted_at IS NULL;
CREATE INDEX media_trash ON media (deleted_at) WHERE deleted_at IS NOT NULL AND purged_at IS NULL;

-- Compared by their bytes on both, so that a prefix is a range.
CREATE TABLE media_word (
  workspace_id TEXT NOT NULL,
  word TEXT /*postgres: COLLATE "C" :postgres*/ NOT NULL,
  media_id TEXT NOT NULL REFERENCES media (id),
  PRIMARY KEY (workspace_id, word, media_id)
) /*sqlite: WITHOUT ROWID :sqlite*/;

-- The posts that hold a medium, or have a delivery with an option that names it.
CREATE INDEX delivery_naming ON delivery (workspace_id) WHERE options LIKE '%-____-____-____-____________%';
CREATE VIEW media_use AS SELECT post_media.media_id, post_media.post_id
  FROM post_media JOIN post ON post.id = post_media.post_id WHERE post.deleted_at IS NULL
  UNION ALL SELECT media.id AS media_id, delivery.post_id
  FROM media JOIN delivery ON delivery.workspace_id = media.workspace_id
    AND delivery.options LIKE '%-____-____-____-____________%' AND delivery.options LIKE '%' || media.id || '%'
  JOIN post ON post.id = delivery.post_id WHERE post.deleted_at IS NULL;

-- A file that was a medium's before another took its place, or may be again.
CREATE TABLE media_version (
  media_id TEXT NOT NULL REFERENCES media (id),
  version BIGINT NOT NULL,
  content_type TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  width BIGINT NOT NULL,
  height BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  -- account:<id>, key:<id> or operator; '' for whoever uploaded the first
  actor TEXT NOT NULL,
  PRIMARY KEY (media_id, version)
);
