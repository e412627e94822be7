-- The whole schema, as a new file gets it; migrations/ brings older files to the same.
-- One row is one job, from its publishing until it is pruned.
-- Times are seconds since the Unix epoch, UTC; lease_until is read on the boot clock.

create table meta (
    name text primary key,
    value text not null
) strict, without rowid;

create table job (
    serial integer primary key,          -- order of publishing; breaks ties between equal dues
    id text not null unique,
    task text not null,
    queue text not null,
    band integer not null,
    key text,
    state integer not null default 0,    -- 0 queued, 1 running, 2.. settled: see envelope.py
    place real not null,                 -- what it is ordered by: due, or when its key was free
    due real,                            -- if that is another time than its place
    enqueued real not null,
    attempt integer not null default 0,  -- grows at every claim, never reset: the fence
    failures integer not null default 0,
    losses integer not null default 0,
    releases integer not null default 0,
    version integer not null default 1,  -- grows with every change of the row
    holder text,                         -- who has the lease, or had it last
    lease_until real,
    started real,
    finished real,
    purge real,                          -- when the record may be removed
    settled blob,                        -- digest of the settle that ended the last attempt
    head blob,                           -- the rest of the message, as JSON; null if all default
    body blob not null,
    value blob,
    error blob,                          -- a Failure, as JSON
    expires real,                        -- after this it must not start
    limited_by text,                     -- the names of its limits, as JSON; null if none
    lane integer not null default 0,     -- where it waits: see lanes.py
    cause text,                          -- the fingerprint of its error
    kind integer not null default 0,     -- what runs it: see envelope.py
    unknown integer not null default 0   -- how many of the releases: the task was not known
) strict;

-- What waits, lane by lane in the order it is claimed. Delayed and retried messages are here too.
create index lanes on job (queue, kind, lane, place) where state = 0;
create index leased on job (queue, kind, lease_until) where state = 1;
-- What is settled, in the order in which it may be removed.
create index kept on job (state, purge) where state >= 2;
-- What did not succeed, for people: newest first, and by what it failed of. Success pays nothing.
create index ended on job (state, id) where state >= 3;
create index caused on job (state, cause, id) where state >= 3;
-- What may end without having been started.
create index expiring on job (expires) where state = 0 and expires is not null;

create table record (
    key text primary key,
    version integer not null,
    value blob not null,
    owner text not null default '',
    expires real                         -- from then on it counts as absent, until it is removed
) strict, without rowid;
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

-- keys, limits, cancelling: schema 3

-- Of each key what is open, by publishing. One of them is not blocked by it: see ending.py.
create index keyed on job (queue, key) where key is not null and state < 2;

create table limits (
    name text primary key,
    in_flight integer,                   -- null: any number
    rate real,                           -- per second; null: any
    burst integer not null default 1,
    leased integer not null default 0,   -- how many leased messages name it
    spent real not null default 0        -- up to when the rate is spent
) strict, without rowid;

-- Which limits hold something back in a queue, and when that may be over; null: after a settle.
create table wake (
    queue text not null,
    kind integer not null,
    name text not null,
    at real,
    primary key (queue, kind, name)
) strict, without rowid;
create index waking on wake (queue, kind, at);
create index waking_for on wake (name);

-- What waits for a limit, in the order of its turn: see AGEING.
create table parked (
    queue text not null,
    kind integer not null,
    name text not null,
    rank real not null,
    serial integer not null,
    primary key (queue, kind, name, rank, serial)
) strict, without rowid;
create index parked_by on parked (serial);

-- What runs and is to be cancelled, and how long its record is kept then.
create table cancelling (
    id text primary key,
    keep real not null
) strict, without rowid;
