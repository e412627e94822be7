-- Schema 3: keys, limits and cancelling.
-- Older code knows nothing of what is blocked, so it must not go on: `needs` is 3, and where it
-- has the file open, its sends miss the column `place` and its claims the index `ready`.
drop index ready;
alter table job rename column due to place;
alter table job add column due real;
alter table job add column limited_by text;
alter table job add column lane integer not null default 0;
create index keyed on job (queue, key) where key is not null and state < 2;
update job set lane = case when key is not null and state = 0 and exists (
    select 1 from job as other indexed by keyed
    where other.key is not null and other.state < 2 and other.queue = job.queue
        and other.key = job.key and other.serial < job.serial) then -1 else 2 * band end;
create index waiting on job (queue, lane, place) where state = 0;
create table limits (
    name text primary key,
    in_flight integer,
    rate real,
    burst integer not null default 1,
    leased integer not null default 0,
    spent real not null default 0
) strict, without rowid;
create table wake (
    queue text not null,
    name text not null,
    at real,
    primary key (queue, name)
) strict, without rowid;
create index waking on wake (queue, at);
create index waking_for on wake (name);
create table parked (
    queue text not null,
    name text not null,
    rank real not null,
    serial integer not null,
    primary key (queue, name, rank, serial)
) strict, without rowid;
create index parked_by on parked (serial);
create table cancelling (
    id text primary key,
    keep real not null
) strict, without rowid;
