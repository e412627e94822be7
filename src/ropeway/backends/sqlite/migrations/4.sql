-- Schema 4.

-- What did not succeed can be found by its state and by the fingerprint of its error. Code that
-- knows schema 3 goes on; what it settles has no cause.
alter table job add column cause text;
create index ended on job (state, id) where state >= 3;
create index caused on job (state, cause, id) where state >= 3;
