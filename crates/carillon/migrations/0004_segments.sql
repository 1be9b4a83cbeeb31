-- The parts of a thread after the first, as JSON. A delivery can have parts of its own, so what they
-- share cannot be read off them. Empty for a post from before: there the longest is what they share.
ALTER TABLE post ADD COLUMN thread TEXT;
