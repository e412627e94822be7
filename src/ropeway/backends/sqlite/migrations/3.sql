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
