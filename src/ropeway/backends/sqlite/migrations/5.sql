-- Schema 5.

-- A claim may ask for some kinds, and releases for unknown tasks are counted. Older code would not
-- see what has another kind than it looks for, so it must not go on: `needs` is 5, and where it has
-- the file open, its claims miss the index `waiting`. What it sends is right.
alter table job add column kind integer not null default 0;
alter table job add column unknown integer not null default 0;
update job set kind = case json_extract(cast(head as text), '$.kind')
    when 'loop' then 1 when 'cpu' then 2 else 0 end
where head is not null and json_valid(cast(head as text));
drop index waiting;
create index lanes on job (queue, kind, lane, place) where state = 0;
drop index leased;
create index leased on job (queue, kind, lease_until) where state = 1;

alter table parked rename to parked_before;
drop index parked_by;
create table parked (
    queue text not null,
    kind integer not null,
    name text not null,
    rank real not null,
    serial integer not null,
    primary key (queue, kind, name, rank, serial)
) strict, without rowid;
create index parked_by on parked (serial);
insert into parked (queue, kind, name, rank, serial)
select parked_before.queue, job.kind, name, rank, serial
from parked_before join job using (serial);
drop table parked_before;

-- Whether there is room is looked at anew.
drop table wake;
create table wake (
    queue text not null,
    kind integer not null,
    name text not null,
    at real,
    primary key (queue, kind, name)
) strict, without rowid;
create index waking on wake (queue, kind, at);
create index waking_for on wake (name);
insert into wake (queue, kind, name, at) select distinct queue, kind, name, 0 from parked;
