-- Schema 3.

-- Records have owners and a time to live, and there are logs and joins.
alter table record add column owner text not null default '';
alter table record add column expires real;
create index record_expiring on record (expires) where expires is not null;

-- The end of each log: an offset is never given twice.
create table log (
    id integer primary key,
    name text not null unique,
    last integer not null
) strict;

create table entry (
    log integer not null,
    offset integer not null,
    appended real not null,
    value blob not null,
    primary key (log, offset)
) strict;

-- What is published when enough members have arrived: a small row that every arrival changes, what
-- is published apart from it, and the members.
create table join_point (
    name text primary key,
    need integer,                        -- null: some have arrived before it was made
    arrived integer not null default 0,  -- the number of its members
    fired integer not null default 0,
    purge real not null                  -- when it is forgotten, fired or not
) strict, without rowid;
create index join_over on join_point (purge);

create table join_then (
    name text primary key,
    messages blob not null               -- as msgpack; removed when the join fires
) strict;

create table join_member (
    name text not null,
    member text not null,
    primary key (name, member)
) strict, without rowid;

-- Keys, limits and cancelling. Older code knows nothing of what is blocked, so it must not go on:
-- `needs` is 3, and where it has the file open, its sends miss the column `place` and its claims
-- the index `ready`.
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
