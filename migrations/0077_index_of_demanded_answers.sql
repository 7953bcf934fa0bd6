-- For certificates, which look up the demanded answers of their users. Few users have one.
drop index concurrently if exists tandem.overlay_demanded;
create index concurrently overlay_demanded on tandem.overlay (user_id, predictor) where demanded;
