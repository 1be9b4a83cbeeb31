-- Videos: what is known of one, what its owner wants of it, and the renditions that networks are given.
-- Pictures: what of one is shown where it has another shape.

-- JSON; null for a picture, and for a video until it was looked into
ALTER TABLE media ADD COLUMN facts TEXT CHECK (facts IS NOT NULL OR state <> 'ready' OR content_type NOT LIKE 'video/%');
-- JSON: where it begins and ends, and its cover; null for the whole
ALTER TABLE media ADD COLUMN cut TEXT;
-- JSON: the point that stays in view, or that all of it is shown; null for the middle
ALTER TABLE media ADD COLUMN frame TEXT;
-- how many of the renditions that all of its kind have were not there when it was last looked
ALTER TABLE media ADD COLUMN lacks BIGINT NOT NULL DEFAULT 0
  CHECK (state IN ('pending', 'processing', 'failed') OR (state = 'ready' AND lacks = 0));

-- What is made of a picture is there once it is written. A video's renditions are asked for first.
ALTER TABLE derivative ADD COLUMN state TEXT NOT NULL DEFAULT 'ready'
  CHECK (state IN ('pending', 'processing', 'failed') OR (state = 'ready' AND bytes > 0));
-- percent
ALTER TABLE derivative ADD COLUMN progress BIGINT NOT NULL DEFAULT 100;
-- why there is none, or what is to be known of it
ALTER TABLE derivative ADD COLUMN problem TEXT;
ALTER TABLE derivative ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX derivative_unready ON derivative (updated_at) WHERE state IN ('pending', 'processing');
