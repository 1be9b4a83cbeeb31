-- The title at the delivery's network, where it was changed once it was live; null: the post's.
ALTER TABLE delivery ADD COLUMN title TEXT;

-- The placement that the network spoke of when it said that nothing is left before `quota_until`.
ALTER TABLE connection ADD COLUMN quota_of TEXT;
