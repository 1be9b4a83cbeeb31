-- Videos: what is known of one, what its owner wants of it, and the renditions that networks are given.

-- JSON; null for a picture, and for a video until it was looked into
ALTER TABLE media ADD COLUMN facts TEXT;
-- JSON: where it begins and ends, and its cover; null for the whole
ALTER TABLE media ADD COLUMN cut TEXT;

-- What is made of a picture is there once it is written. A video's renditions are asked for first.
ALTER TABLE derivative ADD COLUMN state TEXT NOT NULL DEFAULT 'ready';
-- percent
ALTER TABLE derivative ADD COLUMN progress BIGINT NOT NULL DEFAULT 100;
-- why there is none, or what is to be known of it
ALTER TABLE derivative ADD COLUMN problem TEXT;
ALTER TABLE derivative ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX derivative_unready ON derivative (updated_at) WHERE state IN ('pending', 'processing');
