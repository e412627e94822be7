-- Schema 2: jobs end by themselves at `expires`, and records are limited by number for each state.
alter table job add column expires real;
update job set expires = json_extract(cast(head as text), '$.expires')
where state = 0 and head is not null and json_valid(cast(head as text));
create index kept on job (state, purge) where state >= 2;
create index expiring on job (expires) where state = 0 and expires is not null;
drop index settled;
